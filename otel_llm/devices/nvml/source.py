"""All NVIDIA GPUs of this node: found, read, lost and found again."""

import random
import threading
from collections.abc import Collection, Mapping, Sequence
from typing import get_args

import msgspec
import pynvml

from otel_llm.backoff import wait_s
from otel_llm.clock import Clock, MonotonicNs
from otel_llm.devices.nvml.describe import Driver, Found, describe, driver, instances, links
from otel_llm.devices.nvml.events import Events
from otel_llm.devices.nvml.library import Calls, DeviceLostError
from otel_llm.devices.nvml.readings import Group, Readings
from otel_llm.devices.source import CallCost, Reading
from otel_llm.facts.device import (
    Device,
    DeviceEvent,
    DeviceEventName,
    DeviceSample,
    DeviceSourceName,
    ProcessUse,
)

GROUPS: frozenset[Group] = frozenset(get_args(Group))
REOPEN_FACTOR = 10
"""How many times longer than a network's back-off: `nvmlInit` is dear, a reset takes minutes."""
LONGEST_WAIT_S = 0.25
"""Longest wait for events while nobody may reopen the library."""

_REMEDIES = {
    pynvml.NVML_ERROR_LIBRARY_NOT_FOUND: (
        "libnvidia-ml.so.1 is not there. Install NVIDIA's driver, or give the container the "
        "capability `utility` (NVIDIA_DRIVER_CAPABILITIES)"
    ),
    pynvml.NVML_ERROR_DRIVER_NOT_LOADED: (
        "NVIDIA's kernel driver is not loaded. Load it: modprobe nvidia"
    ),
    pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH: (
        "libnvidia-ml.so.1 and the kernel driver are of different versions. Reboot after the "
        "driver's update, or rebuild the container"
    ),
    pynvml.NVML_ERROR_NO_PERMISSION: "NVML may not be used by this user. Give it /dev/nvidiactl",
}


class NvmlSource:
    """Reads GPUs through NVML. Everything that fails is told in `problems` and in events.

    Args:
        clock: the machine's.
        groups: what to read; the others are never asked for (setting `device_groups`).
        slow_s: how often ECC counts and processes are read, in seconds (`device_slow_interval_s`).
    """

    name: DeviceSourceName = "nvml"

    def __init__(
        self, clock: Clock, groups: Collection[Group] = GROUPS, slow_s: float = 10.0
    ) -> None:
        self._clock = clock
        self._groups = frozenset(groups)
        self._slow_s = slow_s
        self._calls = Calls()
        self._readings: dict[str, Readings] = {}
        self._devices: dict[str, Device] = {}
        self._lost: dict[str, int] = {}
        self._unopened = 0
        self._energy_mj: dict[str, int] = {}
        self._actions: dict[str, int] = {}
        self._events: Events | None = None
        self._problems: list[str] = []
        self._is_open = False
        self._failures = 0
        self._reopen_ns = 0
        # Held while the library is opened anew, and while another thread waits for events in it.
        self._library = threading.Lock()
        # Set while somebody wants to open it anew: who listens then stays away.
        self._wanted = threading.Event()

    @property
    def devices(self) -> Sequence[Device]:
        """As `DeviceSource` says."""
        return list(self._devices.values())

    @property
    def problems(self) -> Sequence[str]:
        """As `DeviceSource` says."""
        forbidden = [
            f"{device}: {call} is not permitted to this user"
            for device, call in self._calls.forbidden
        ]
        lost = [f"{device} is lost (NVML error {code})" for device, code in self._lost.items()]
        return [*self._problems, *lost, *forbidden]

    @property
    def calls(self) -> Mapping[str, CallCost]:
        """As `DeviceSource` says."""
        return self._calls.costs

    def open(self) -> bool:
        """As `DeviceSource` says."""
        with self._library:
            self._open()
        if self._unopened:
            self._later()
        return bool(self._readings)

    def read(self, *, full: bool) -> Reading:
        """As `DeviceSource` says."""
        samples: list[DeviceSample] = []
        processes: list[ProcessUse] = []
        events: list[DeviceEvent] = []
        waited_for = self._lost or self._unopened
        if waited_for and self._clock.monotonic_ns() >= self._reopen_ns:
            events += self._reopen()
        for key, readings in list(self._readings.items()):
            try:
                read = readings.read(full=full)
            except DeviceLostError as error:
                events += self._lose(key, error.code)
                continue
            events += self._found_again(key)
            samples.append(read.sample)
            processes += read.processes
            events += self._noticed(key, read.values)
        return Reading(samples, processes, events)

    def wait(self, timeout_s: float) -> Sequence[DeviceEvent]:
        """As `DeviceSource` says."""
        if self._wanted.is_set():
            threading.Event().wait(timeout_s)
            return ()
        with self._library:
            heard = None
            if self._events is not None:
                heard = self._events.wait(min(timeout_s, LONGEST_WAIT_S))
        if heard is None:
            threading.Event().wait(timeout_s)
        return heard or ()

    def close(self) -> None:
        """As `DeviceSource` says."""
        with self._library:
            self._shut()

    def _open(self) -> None:
        self._shut()  # NVML counts its users, and looks for devices at the first one alone
        self._problems, self._unopened = [], 0
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError as error:
            self._problems.append(_REMEDIES.get(error.value, f"NVML cannot be opened: {error}"))
            return
        self._is_open = True
        try:
            found = self._find()
        except (DeviceLostError, pynvml.NVMLError) as error:
            self._problems.append(f"NVML cannot list the devices: {error}")
            return
        if not found:
            self._problems.append("NVML finds no device")
        for each in found:
            key = each.device.mig or each.device.id
            self._devices[key] = each.device
            self._readings[key] = Readings(
                self._calls, each, self._groups, self._slow_s, self._clock
            )
        self._events = Events(self._calls, found, self._clock)
        if self._events.deaf:
            told = ", ".join(self._events.deaf)
            self._problems.append(f"XIDs of {told} cannot be heard: the driver does not tell them")

    def _shut(self) -> None:
        if not self._is_open:
            return
        for readings in self._readings.values():
            readings.close()
        self._readings.clear()
        if self._events is not None:
            self._events.close()
        self._events = None
        self._is_open = False
        try:
            pynvml.nvmlShutdown()
        except pynvml.NVMLError_Uninitialized:
            return  # the driver has gone before us

    def _find(self) -> list[Found]:
        of = driver(self._calls)
        count = pynvml.nvmlDeviceGetCount()
        return self._linked([each for index in range(count) for each in self._found(index, of)])

    def _found(self, index: int, of: Driver) -> list[Found]:
        """A device and its MIG instances; none if it does not answer."""
        try:
            one = describe(self._calls, index, pynvml.nvmlDeviceGetHandleByIndex(index), of)
            return [one, *instances(self._calls, one)]
        except (pynvml.NVMLError, DeviceLostError) as error:
            self._unopened += 1
            self._problems.append(f"device {index} cannot be opened: {error}")
            return []

    def _linked(self, found: Sequence[Found]) -> list[Found]:
        by_pci = {each.device.pci: each.device.id for each in found if each.device.pci}
        if "links" not in self._groups:
            return list(found)
        return [
            each
            if each.device.mig
            else Found(
                msgspec.structs.replace(each.device, links=links(self._calls, each, by_pci)),
                each.handle,
            )
            for each in found
        ]

    def _lose(self, key: str, code: int) -> list[DeviceEvent]:
        self._readings.pop(key).close()
        if key in self._lost:
            return []
        self._lost[key] = code
        self._later()
        return [self._event(key, "lost", f"it does not answer any more (NVML error {code})", code)]

    def _later(self) -> None:
        self._failures += 1
        longer = REOPEN_FACTOR * wait_s(self._failures, random.random())  # noqa: S311  jitter
        self._reopen_ns = self._clock.monotonic_ns() + round(longer * 1e9)

    def _reopen(self) -> list[DeviceEvent]:
        """Open the library anew: handles from before a loss stay lost."""
        self._wanted.set()
        with self._library:
            # What the set has heard of others goes with it, unless it is asked first.
            heard = self._events.wait(0.0) if self._events is not None else None
            self._calls.forget()
            self._open()
        self._wanted.clear()
        # All are read anew from here; a lost one is back once it has been read.
        missing = self._missing()
        if self._lost or self._unopened:
            self._later()
        return [*(heard or ()), *missing]

    def _found_again(self, key: str) -> list[DeviceEvent]:
        if key not in self._lost:
            return []
        del self._lost[key]
        if not self._lost and not self._unopened:
            self._failures = 0
        return [self._event(key, "recovered", "it answers again")]

    def _missing(self) -> list[DeviceEvent]:
        """Devices that were well and are not found any more are lost; instances may be gone."""
        events = []
        for key in [key for key in self._devices if key not in self._readings]:
            device = self._devices[key]
            if device.mig and device.id in self._readings:
                # Its device is there without it: it was parted anew, nothing is to be waited for.
                del self._devices[key]
                self._lost.pop(key, None)
            elif key not in self._lost:
                self._lost[key] = pynvml.NVML_ERROR_GPU_NOT_FOUND
                events.append(self._event(key, "lost", "it is not found any more", self._lost[key]))
        return events

    def _noticed(self, key: str, values: Mapping[str, int]) -> list[DeviceEvent]:
        """What a reading tells that no event does: a new driver, a recovery that is due."""
        events = []
        energy_mj, action = values.get("energy_mj"), values.get("recovery_action")
        if energy_mj is not None:
            if energy_mj < self._energy_mj.get(key, 0):
                events.append(self._event(key, "reset", "its counters began anew"))
            self._energy_mj[key] = energy_mj
        if action is not None:
            if action != self._actions.get(key, 0):
                events.append(
                    self._event(key, "recovery_action", _ACTIONS.get(action, "?"), action)
                )
            self._actions[key] = action
        return events

    def _event(
        self, key: str, event: DeviceEventName, message: str, code: int | None = None
    ) -> DeviceEvent:
        anchor = self._clock.anchor()
        return DeviceEvent(
            device=self._devices[key],
            at_ns=MonotonicNs(anchor.mono_ns),
            anchor=anchor,
            event=event,
            code=code,
            fault="hardware" if event == "lost" else "",
            message=message,
        )


_ACTIONS = {
    0: "none",
    1: "reset the GPU",
    2: "reboot the node",
    3: "drain P2P traffic",
    4: "drain and reset the GPU",
    5: "recover the IMEX domain",
    6: "reset the bus",
    7: "reboot the system",
}
"""`NVML_GPU_RECOVERY_ACTION_*` of nvml.h."""
