"""What readings tell that no event does: counters that began anew or grew, a recovery due."""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeAlias

from otel_llm.clock import Clock, MonotonicNs
from otel_llm.facts.device import Device, DeviceEvent, DeviceEventName, Fault

UNCORRECTED = "uncorrectable memory error"
_Events: TypeAlias = Iterator[DeviceEvent]
_Notice: TypeAlias = Callable[[Device, str, int | None, int], _Events]
"""Makes events of a device's value: its name, what it was (None before the first), what it is."""


class Noticing:
    """Remembers the last values of each device, and makes events of what changed.

    A memory error may be told by the driver and by the counter, in any order; it is told once.

    Args:
        clock: the machine's.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last: dict[tuple[str, str], int] = {}
        # Of each device: errors that the driver told, by which the counter grew, and that we told.
        self._heard: Counter[str] = Counter()
        self._grown: Counter[str] = Counter()
        self._told: Counter[str] = Counter()
        # The driver's events come by another thread than readings.
        self._lock = threading.Lock()
        # What each value is looked at for, when it is another than before.
        self._watched: Mapping[str, _Notice] = {
            "energy_mj": self._reset,
            "recovery_action": self._action,
            "ecc_uncorrected": self._errors,
            "ecc_corrected": self._mended,
            "remapped_rows_corrected": self._remapped,
            "remapped_rows_uncorrected": self._remapped,
            "remap_pending": self._remapping,
            "remap_failed": self._remapping,
        }

    def heard(self, events: Iterable[DeviceEvent]) -> list[DeviceEvent]:
        """The driver's events, without memory errors that the counter has told before."""
        return [event for event in events if event.event != "ecc" or self._is_news(event.device.id)]

    def read(self, device: Device, values: Mapping[str, int]) -> list[DeviceEvent]:
        """Events of a reading: of the values that it has, and of these alone.

        Args:
            device: a whole device.
            values: by names of `fields`.
        """
        events: list[DeviceEvent] = []
        for name, now in values.items():
            if name not in self._watched:
                continue
            before = self._last.get((device.id, name))
            if now != before:
                self._last[device.id, name] = now
                events += self._watched[name](device, name, before, now)
        return events

    def forget(self, device: str) -> None:
        """The device was lost: counters that the driver keeps may begin anew."""
        with self._lock:
            for counter in (self._heard, self._grown, self._told):
                del counter[device]

    def _reset(self, device: Device, _name: str, before: int | None, now: int) -> _Events:
        """A counter of energy fell."""
        if before is not None and now < before:
            yield self.event(device, "reset", "its counters began anew")

    def _action(self, device: Device, _name: str, before: int | None, now: int) -> _Events:
        """What the driver wants to be done is another thing; none at the first time is none."""
        if now or before:
            told = ACTIONS.get(now, "?")
            yield self.event(device, "recovery_action", told, code=now, action=told)

    def _errors(self, device: Device, _name: str, before: int | None, now: int) -> _Events:
        """Errors that could not be mended, but for those that the driver told."""
        news = self._news(device.id, self._grown, _growth(before, now))
        if news:
            yield self.event(device, "ecc", UNCORRECTED, "hardware", occurrences=news)

    def _mended(self, device: Device, _name: str, before: int | None, now: int) -> _Events:
        """Errors that were mended."""
        grown = _growth(before, now)
        if grown:
            yield self.event(device, "ecc_corrected", "memory error, mended", occurrences=grown)

    def _remapped(self, device: Device, name: str, before: int | None, now: int) -> _Events:
        """Rows of memory were remapped."""
        grown = _growth(before, now)
        if grown:
            yield self.event(device, "remapped", _REMAPPED[name], "hardware", occurrences=grown)

    def _remapping(self, device: Device, name: str, before: int | None, now: int) -> _Events:
        """A remapping waits, or failed."""
        if now and not before:
            message, action = _REMAPPING[name]
            yield self.event(device, "remapped", message, "hardware", action=action)

    def _is_news(self, device: str) -> bool:
        return self._news(device, self._heard, 1) > 0

    def _news(self, device: str, counter: Counter[str], more: int) -> int:
        """Errors that neither way has told so far."""
        with self._lock:
            counter[device] += more
            known = max(self._heard[device], self._grown[device])
            news = known - self._told[device]
            self._told[device] = known
        return news

    def event(
        self,
        device: Device,
        name: DeviceEventName,
        message: str,
        fault: Fault = "",
        *,
        code: int | None = None,
        action: str = "",
        occurrences: int = 1,
    ) -> DeviceEvent:
        """An event of now."""
        anchor = self._clock.anchor()
        return DeviceEvent(
            device=device,
            at_ns=MonotonicNs(anchor.mono_ns),
            anchor=anchor,
            event=name,
            code=code,
            fault=fault,
            message=message,
            action=action,
            occurrences=occurrences,
        )


def _growth(before: int | None, now: int) -> int:
    """By how much a counter grew; what it held before us is not ours to tell."""
    return 0 if before is None else max(0, now - before)


_REMAPPED = {
    "remapped_rows_corrected": "a memory row was remapped for corrected errors",
    "remapped_rows_uncorrected": "a memory row was remapped for an uncorrectable error",
}
_REMAPPING = {
    "remap_pending": ("a remapping waits for a reset", "reset the GPU"),
    "remap_failed": ("a remapping failed", "replace the GPU"),
}
ACTIONS = {
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
