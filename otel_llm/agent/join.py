"""What all joins share: the clock, the last sign of life, what is counted and what is saved.

A join is a state machine over one journal's records. It reads no clock and does no I/O, so a saved
join that reads on from its cursor gives the same facts as one that was never interrupted.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec

from otel_llm.agent.checks import HOLDS, Check
from otel_llm.agent.hygiene import clean
from otel_llm.agent.open_facts import Change, Kept, Key, Recent
from otel_llm.clock import Anchor, MonotonicNs
from otel_llm.facts import (
    Attempt,
    GatewayCall,
    GatewayCallStarted,
    Producer,
    RequestArrived,
    RequestDelivered,
    RequestFinished,
    StepDone,
    StepGpuTime,
    StepKernels,
    StepScheduled,
)
from otel_llm.facts.joined import Joined, ProducerEvent, ProducerEventName
from otel_llm.isolation import Guard
from otel_llm.journal.records import Record

Handler = Callable[[Any], list[Joined]]

_WRITTEN_AT: Mapping[type[msgspec.Struct], str] = {
    Anchor: "mono_ns",
    RequestArrived: "arrival_ns",
    RequestFinished: "finished_ns",
    RequestDelivered: "finished_ns",
    StepScheduled: "schedule_ns",
    StepDone: "result_ns",
    StepKernels: "base_ns",
    StepGpuTime: "launched_ns",
    GatewayCallStarted: "arrival_ns",
    GatewayCall: "finished_ns",
    Attempt: "finished_ns",
}


class Way(NamedTuple):
    """What is done with a kind of record.

    Attributes:
        holds: whether it is within all rules.
        written_at: its stamp, in monotonic nanoseconds.
        handle: takes it in.
    """

    holds: Check
    written_at: Callable[[Any], MonotonicNs]
    handle: Handler


class Limits(NamedTuple):
    """Settings of a join; see `otel_llm.settings`."""

    max_open_requests: int = 100_000
    trace_ratio: float = 1.0
    step_span_ratio: float = 0.01
    span_link_limit: int = 128


class JoinState(msgspec.Struct):
    """What a join remembers beside open facts.

    Attributes:
        anchor: the journal's latest clock reading; None before the first.
        last_ns: the latest stamp seen: the last sign of life.
        lost: records of this journal lost so far.
        started: its `started` event has been given.
        ended: its last event has been given; nothing follows.
        numbered: records that the join itself has numbered.
    """

    anchor: Anchor | None = None
    last_ns: MonotonicNs = MonotonicNs(0)
    lost: int = 0
    started: bool = False
    ended: bool = False
    numbered: int = 0


class Join(ABC):
    """Joins the records of one journal into facts.

    Args:
        producer: who writes the journal.
        limits: settings.
        fallback: clock reading used until the journal's first.

    Attributes:
        state: what is saved beside open facts.
        breaches: broken rules by label, since the caller last took them.
        lost: facts lost here by reason, likewise.
    """

    def __init__(self, producer: Producer, limits: Limits, fallback: Anchor) -> None:
        self.producer = producer
        self.limits = limits
        self.state = JoinState()
        self.breaches: Counter[str] = Counter()
        self.lost: Counter[str] = Counter()
        self._fallback = fallback
        self._damaged = False
        # No record is known that gets past the rules and fails; one that did must not stop the
        # agent, nor the agent that starts after it and reads the same record.
        self._guard = Guard("agent.join", self._note_undecodable)
        handlers: dict[type[msgspec.Struct], Handler] = {Anchor: self._anchored}
        handlers.update(self._handlers())
        self._ways = {
            kind: Way(HOLDS[kind], attrgetter(_WRITTEN_AT[kind]), handle)
            for kind, handle in handlers.items()
        }

    @property
    def anchor(self) -> Anchor:
        """The clock reading for facts that begin now."""
        return self.state.anchor or self._fallback

    def feed(self, records: Sequence[Record]) -> list[Joined]:
        """Take in records in the order of the journal; give the facts they complete."""
        if self.state.anchor is None:
            self._find_anchor(records)
        joined: list[Joined] = []
        if not self.state.started:
            self.state.started = True
            joined.append(self._event("started", self.anchor.mono_ns))
        left = iter(records)
        while not self._taken(left, joined):
            pass
        self._damaged = False
        return joined

    def _taken(self, left: Iterator[Record], joined: list[Joined]) -> bool:
        """Take in what is left, up to the first record that fails; whether none did."""
        ways, state = self._ways, self.state
        with self._guard:
            for record in left:
                way, whole = ways.get(type(record)), record
                if way is None or not way[0](record):
                    mended = None if way is None else clean(record, self.breaches)
                    if way is None or mended is None:
                        self._note_undecodable()
                        continue
                    whole = mended
                _, written_at, handle = way
                stamp = written_at(whole)
                if stamp > state.last_ns:
                    state.last_ns = stamp
                joined += handle(whole)
            return True
        return False

    def note_lost(self, overwritten: int, elsewhere: int) -> None:
        """Records were lost; what they may have touched is incomplete. Call before `feed`.

        Args:
            overwritten: lost before the first record of the next `feed`.
            elsewhere: lost at places unknown, so that what the next `feed` completes may miss some.
        """
        self.state.lost += overwritten + elsewhere
        self._damaged = self._damaged or elsewhere > 0
        self._mark_open()

    def end(self, *, clean_close: bool) -> list[Joined]:
        """The journal's writer is gone and all was read; give what was in flight."""
        in_flight = self._event("stopped" if clean_close else "died", self.state.last_ns)
        self.state.ended = True
        return [*self._end_open(), in_flight]

    def changes(self) -> list[Change]:
        """What to save: everything remembered that changed since `saved`."""
        return [change for memory in self._memory() for change in memory.changes()]

    def saved(self) -> None:
        """What `changes` returned is safe."""
        for memory in self._memory():
            memory.saved()

    def restore(self, state: JoinState, saved: Sequence[tuple[str, Key, bytes]]) -> None:
        """Go on from what was saved, given oldest first."""
        self.state = state
        for memory in self._memory():
            memory.restore(saved)

    @abstractmethod
    def _memory(self) -> Sequence[Kept[Any] | Recent]:
        """All that is remembered from one record to the next."""

    @abstractmethod
    def _mark_open(self) -> None:
        """Mark all open requests incomplete."""

    @abstractmethod
    def _handlers(self) -> Mapping[type[msgspec.Struct], Handler]:
        """What takes in a clean record of each kind that stands in such a journal, but anchors."""

    @abstractmethod
    def _end_open(self) -> list[Joined]:
        """Give all open facts as they stand."""

    @abstractmethod
    def _in_flight(self) -> tuple[tuple[int, ...], tuple[str, ...]]:
        """Steps, and ids of requests or calls, in flight."""

    def _anchored(self, anchor: Anchor) -> list[Joined]:
        self.state.anchor = anchor
        return []

    def _note_undecodable(self) -> None:
        self.lost["undecodable"] += 1
        self.note_lost(0, 1)

    def _find_anchor(self, records: Sequence[Record]) -> None:
        for record in records:
            cleaned = clean(record, Counter()) if isinstance(record, Anchor) else None
            if isinstance(cleaned, Anchor):
                self.state.anchor = cleaned
                return

    def _event(self, event: ProducerEventName, at_ns: MonotonicNs) -> ProducerEvent:
        steps, requests = self._in_flight()
        return ProducerEvent(
            self.producer, self.anchor, event, at_ns, steps, requests, self.state.lost
        )
