"""How long each engine has had requests and made no step: an engine that hangs, or stands still."""

from collections.abc import Iterable
from typing import NamedTuple

from otel_llm.clock import Clock, MonotonicNs
from otel_llm.facts import StepDone, StepScheduled
from otel_llm.journal.records import Record


class _Watched(NamedTuple):
    """When an engine last worked, and when its journal was last looked at, on the agent's clock."""

    worked_ns: MonotonicNs
    looked_ns: MonotonicNs


class Stalls:
    """Time since each engine's last sign of work, as far as its journal was looked at.

    A journal that the agent leaves unread says nothing against its engine.

    Args:
        clock: the machine's.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._watched: dict[str, _Watched] = {}

    def read(self, instance_id: str, records: Iterable[Record]) -> None:
        """An engine's journal was looked at, and held these records."""
        now_ns = self._clock.monotonic_ns()
        watched = self._watched.get(instance_id)
        worked = any(isinstance(record, StepScheduled | StepDone) for record in records)
        worked_ns = now_ns if worked or watched is None else watched.worked_ns
        self._watched[instance_id] = _Watched(worked_ns, now_ns)

    def seconds(self, instance_id: str, requests: int) -> float:
        """For how long an engine that has so many requests has begun or ended no step.

        0 without requests, and for an engine that was never looked at.
        """
        watched = self._watched.get(instance_id)
        if watched is None:
            return 0.0
        if not requests:
            watched = _Watched(watched.looked_ns, watched.looked_ns)
            self._watched[instance_id] = watched
        return (watched.looked_ns - watched.worked_ns) / 1e9

    def forget(self, instance_id: str) -> None:
        """An engine's journal has ended."""
        self._watched.pop(instance_id, None)
