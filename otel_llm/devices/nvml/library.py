"""Calls of NVML: what each device supports, what each call costs, and what its errors mean.

Error codes: NVML API reference, `nvmlReturn_t`.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import TypeVar

import pynvml

from otel_llm.devices.source import CallCost

T = TypeVar("T")

LOST = frozenset({
    pynvml.NVML_ERROR_GPU_IS_LOST,
    pynvml.NVML_ERROR_RESET_REQUIRED,
    pynvml.NVML_ERROR_GPU_NOT_FOUND,
    pynvml.NVML_ERROR_UNINITIALIZED,
    pynvml.NVML_ERROR_DRIVER_NOT_LOADED,
})  # fmt: skip
"""The handle is of no use any more; a new `nvmlInit` may find the device again."""
NEVER = frozenset({
    pynvml.NVML_ERROR_NOT_SUPPORTED,
    pynvml.NVML_ERROR_FUNCTION_NOT_FOUND,
    pynvml.NVML_ERROR_NO_PERMISSION,
    pynvml.NVML_ERROR_ARGUMENT_VERSION_MISMATCH,
    pynvml.NVML_ERROR_INVALID_ARGUMENT,
})  # fmt: skip
"""Asking again would give the same answer."""


class DeviceLostError(Exception):
    """A device does not answer any more; `code` is NVML's."""

    def __init__(self, code: int) -> None:
        super().__init__(f"NVML error {code}")
        self.code = code


class Calls:
    """Makes calls, counts them, and remembers what a device does not support."""

    def __init__(self) -> None:
        self._made: Counter[str] = Counter()
        self._failed: Counter[str] = Counter()
        self._spent_ns: Counter[str] = Counter()
        self._never: dict[tuple[str, str], int] = {}
        self._asked: dict[str, set[str]] = {}

    def ask(self, name: str, device: str, call: Callable[[], T]) -> T | None:
        """Make a call of a device, unless it does not support it.

        Args:
            name: NVML's name of it, or of a field.
            device: UUID.
            call: makes it.

        Returns:
            Its answer; None if there is none now, or never.

        Raises:
            DeviceLostError: the device is lost, or the driver has gone.
        """
        if (device, name) in self._never:
            return None
        began = time.perf_counter_ns()
        try:
            answer = call()
        except pynvml.NVMLError as error:
            self.told(name, device, error.value, time.perf_counter_ns() - began)
            return None
        self.told(name, device, pynvml.NVML_SUCCESS, time.perf_counter_ns() - began)
        return answer

    def told(self, name: str, device: str, code: int, spent_ns: int) -> bool:
        """Take down how a call, or a field of one, went.

        Returns:
            Whether it gave a value.

        Raises:
            DeviceLostError: as in `ask`.
        """
        self._made[name] += 1
        self._spent_ns[name] += spent_ns
        self._asked.setdefault(name, set()).add(device)
        if code == pynvml.NVML_SUCCESS:
            return True
        if code in LOST:
            raise DeviceLostError(code)
        if code in NEVER:
            self._never[device, name] = code
        else:
            self._failed[name] += 1
        return False

    def supports(self, name: str, device: str) -> bool:
        """Whether a device has not refused a call for good."""
        return (device, name) not in self._never

    def forget(self) -> None:
        """Probe everything anew: the driver may be another one now."""
        self._never.clear()

    @property
    def costs(self) -> Mapping[str, CallCost]:
        """What each call has cost so far."""
        refused = Counter(name for _, name in self._never)
        return {
            name: CallCost(
                made,
                self._failed[name],
                self._spent_ns[name],
                len(self._asked[name]) - refused[name],
                refused[name],
            )
            for name, made in self._made.items()
        }

    @property
    def forbidden(self) -> list[tuple[str, str]]:
        """Device and call of everything that wants a permission."""
        return [key for key, code in self._never.items() if code == pynvml.NVML_ERROR_NO_PERMISSION]
