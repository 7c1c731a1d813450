"""XIDs and other critical events, as the driver tells them."""

import contextlib
import ctypes
from collections.abc import Mapping, Sequence
from typing import Any

import pynvml

from otel_llm.clock import Clock
from otel_llm.devices import xid
from otel_llm.devices.nvml.describe import Found
from otel_llm.devices.nvml.library import Calls, DeviceLostError
from otel_llm.devices.nvml.noticing import UNCORRECTED
from otel_llm.facts.device import Device, DeviceEvent, DeviceEventName, Fault

KINDS = (
    pynvml.nvmlEventTypeXidCriticalError
    | pynvml.nvmlEventTypeDoubleBitEccError
    | pynvml.nvmlEventTypeGpuUnavailableError
    | pynvml.nvmlEventTypeGpuRecoveryAction
)
MOST_AT_ONCE = 4096
"""Events taken in one wait, so that a storm does not keep the thread for ever."""


class Events:
    """Listens to a set of devices. One thread at a time.

    Args:
        calls: makes the calls.
        found: whom to listen to; MIG instances report with their device.
        clock: the machine's.
    """

    def __init__(self, calls: Calls, found: Sequence[Found], clock: Clock) -> None:
        self._clock = clock
        self._set: Any = None
        # Events name a device by its handle.
        self._devices: dict[int, Device] = {}
        self._deaf: list[str] = []
        whole = [each for each in found if not each.device.mig]
        made = calls.ask("nvmlEventSetCreate", "", pynvml.nvmlEventSetCreate) if whole else None
        for device, handle in whole if made is not None else ():
            if self._is_registered(calls, made, device, handle):
                self._devices[_address(handle)] = device
            else:
                self._deaf.append(device.id)
        self._set = made if self._devices else None

    @property
    def problems(self) -> list[str]:
        """Whom it cannot hear."""
        told = ", ".join(self._deaf)
        return [f"XIDs of {told} cannot be heard: the driver does not tell them"] if told else []

    def wait(self, timeout_s: float) -> list[DeviceEvent] | None:
        """Events of so many seconds, or of less once there are some; None if it cannot hear."""
        if self._set is None:
            return None
        heard: list[DeviceEvent] = []
        timeout_ms = round(timeout_s * 1000)
        while len(heard) < MOST_AT_ONCE:
            try:
                data = pynvml.nvmlEventSetWait_v2(self._set, timeout_ms)
            except pynvml.NVMLError as error:
                # Any error but a time-out comes at once: the caller must sleep, not ask again.
                return heard if heard or error.value == pynvml.NVML_ERROR_TIMEOUT else None
            heard += self._fact(data)
            timeout_ms = 0
        return heard

    def rest(self) -> list[DeviceEvent]:
        """All that has come so far, however much; nothing is waited for."""
        heard: list[DeviceEvent] = []
        while more := self.wait(0.0):
            heard += more
        return heard

    def close(self) -> None:
        """Stop listening."""
        made, self._set = self._set, None
        if made is not None:
            with contextlib.suppress(pynvml.NVMLError):  # the driver may have gone with it
                pynvml.nvmlEventSetFree(made)

    def _is_registered(self, calls: Calls, made: object, device: Device, handle: object) -> bool:
        try:
            supported = calls.ask(
                "nvmlDeviceGetSupportedEventTypes",
                device.id,
                lambda: pynvml.nvmlDeviceGetSupportedEventTypes(handle),
            )
            wanted = KINDS & (supported or 0)
            if wanted:
                calls.ask(
                    "nvmlDeviceRegisterEvents",
                    device.id,
                    lambda: pynvml.nvmlDeviceRegisterEvents(handle, wanted, made),
                )
        except DeviceLostError:
            return False  # the others can be heard; what it has, its first reading will say
        return bool(wanted) and calls.supports("nvmlDeviceRegisterEvents", device.id)

    def _fact(self, data: Any) -> list[DeviceEvent]:  # noqa: ANN401  NVML's structure
        device = self._devices.get(_address(data.device))
        if device is None:
            return []
        anchor = self._clock.anchor()
        if data.eventType == pynvml.nvmlEventTypeXidCriticalError:
            return [xid.event(device, int(data.eventData), anchor)]
        name, fault, message = _NAMED.get(data.eventType, _CHANGED)
        return [
            DeviceEvent(
                device=device,
                at_ns=anchor.mono_ns,
                anchor=anchor,
                event=name,
                fault=fault,
                message=message,
            )
        ]


_CHANGED: tuple[DeviceEventName, Fault, str] = (
    "recovery_action", "", "its recovery action changed",
)  # fmt: skip
_NAMED: Mapping[int, tuple[DeviceEventName, Fault, str]] = {
    pynvml.nvmlEventTypeDoubleBitEccError: ("ecc", "hardware", UNCORRECTED),
    pynvml.nvmlEventTypeGpuUnavailableError: (
        "unavailable", "hardware", "the driver says that it cannot be used",
    ),
}  # fmt: skip


def _address(handle: Any) -> int:  # noqa: ANN401  a pointer of ctypes
    return ctypes.cast(handle, ctypes.c_void_p).value or 0
