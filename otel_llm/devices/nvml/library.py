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


class _Tally:
    """What one kind of call has cost so far, and whom it was asked of."""

    __slots__ = ("devices", "failed", "made", "spent_ns")

    def __init__(self) -> None:
        self.made = self.failed = self.spent_ns = 0
        self.devices: set[str] = set()


class Calls:
    """Makes calls, counts them, and remembers what a device does not support.

    Attributes:
        refusals: how often a call was refused for good. Who remembers what is supported may do so
            until it grows.
    """

    def __init__(self) -> None:
        self._tallies: dict[str, _Tally] = {}
        self._never: dict[tuple[str, str], int] = {}
        self.refusals = 0

    def ask(
        self,
        name: str,
        device: str,
        call: Callable[[], T],
        passing: frozenset[int] = frozenset(),
    ) -> T | None:
        """Make a call of a device, unless it does not support it.

        Args:
            name: NVML's name of it, or of a field.
            device: UUID.
            call: makes it.
            passing: codes of NEVER that pass with this call: it may succeed the next time.

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
            self.told(name, device, error.value, time.perf_counter_ns() - began, passing)
            return None
        self.told(name, device, pynvml.NVML_SUCCESS, time.perf_counter_ns() - began)
        return answer

    def told(
        self,
        name: str,
        device: str,
        code: int,
        spent_ns: int,
        passing: frozenset[int] = frozenset(),
    ) -> bool:
        """Take down how a call, or a field of one, went.

        Returns:
            Whether it gave a value.

        Raises:
            DeviceLostError: as in `ask`.
        """
        tally = self._tallies.get(name)
        if tally is None:
            tally = self._tallies[name] = _Tally()
        tally.made += 1
        tally.spent_ns += spent_ns
        tally.devices.add(device)
        if code == pynvml.NVML_SUCCESS:
            return True
        if code in LOST:
            raise DeviceLostError(code)
        if code in NEVER - passing:
            self._never[device, name] = code
            self.refusals += 1
        else:
            tally.failed += 1
        return False

    def supports(self, name: str, device: str) -> bool:
        """Whether a device has not refused a call for good."""
        return (device, name) not in self._never

    def forget(self, device: str | None = None) -> None:
        """Probe a device anew, or all: driver or device may be another one now."""
        self._never = {
            key: code for key, code in self._never.items() if device not in (None, key[0])
        }
        for tally in self._tallies.values():
            tally.devices = {each for each in tally.devices if device not in (None, each)}

    @property
    def costs(self) -> Mapping[str, CallCost]:
        """What each call has cost so far."""
        # Copies: another thread may ask while calls are made.
        refused = Counter(name for _, name in self._never.copy())
        return {
            name: CallCost(
                tally.made,
                tally.failed,
                tally.spent_ns,
                len(tally.devices) - refused[name],
                refused[name],
            )
            for name, tally in self._tallies.copy().items()
        }

    @property
    def forbidden(self) -> list[tuple[str, str]]:
        """Device and call of everything that wants a permission."""
        never = self._never.copy()
        return [key for key, code in never.items() if code == pynvml.NVML_ERROR_NO_PERMISSION]
