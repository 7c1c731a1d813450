"""Like events of a device become one with a count, so that a storm is a row a second, none lost."""

from collections.abc import Iterable, Iterator

import msgspec

from otel_llm.clock import MonotonicNs
from otel_llm.facts.device import DeviceEvent

EVERY_NS = 1_000_000_000
"""Least time between two events of one kind that are given out."""

_Key = tuple[str, str, str, int | None, str]


class Merger:
    """Holds events back that follow one of their kind too closely, and gives out their sum.

    Not thread-safe. Bounded by the kinds of events of the last second, times the devices.
    """

    def __init__(self) -> None:
        self._held: dict[_Key, DeviceEvent] = {}
        self._given_ns: dict[_Key, int] = {}

    def add(self, events: Iterable[DeviceEvent]) -> None:
        """Take events in."""
        for event in events:
            key = (event.device.id, event.device.mig, event.event, event.code, event.message)
            first = self._held.get(key)
            self._held[key] = event if first is None else _sum(first, event)

    def due(self, now_ns: MonotonicNs) -> Iterator[DeviceEvent]:
        """Give out what may be: the first of its kind at once, others a second after the last."""
        self._given_ns = {
            key: at_ns for key, at_ns in self._given_ns.items() if now_ns - at_ns < EVERY_NS
        }
        for key in list(self._held):
            if key not in self._given_ns:
                self._given_ns[key] = now_ns
                yield self._held.pop(key)

    def rest(self) -> list[DeviceEvent]:
        """Give out all that is held."""
        held, self._held = list(self._held.values()), {}
        return held


def _sum(first: DeviceEvent, later: DeviceEvent) -> DeviceEvent:
    return msgspec.structs.replace(first, occurrences=first.occurrences + later.occurrences)
