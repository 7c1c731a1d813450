"""One journal, followed from its first record to its writer's end."""

import logging
from collections import Counter

import msgspec

from otel_llm.agent.checkpoint import JournalState, SavedJournal
from otel_llm.agent.engine_join import EngineJoin
from otel_llm.agent.frontend_join import FrontendJoin
from otel_llm.agent.gateway_join import GatewayJoin
from otel_llm.agent.hygiene import clean_producer
from otel_llm.agent.join import Join, Limits
from otel_llm.agent.open_facts import Change
from otel_llm.agent.open_requests import facts_in
from otel_llm.agent.worker_join import WorkerJoin
from otel_llm.clock import Anchor, EpochNs, MonotonicNs
from otel_llm.facts import Producer
from otel_llm.facts.joined import Joined
from otel_llm.facts.producer import ProducerKind
from otel_llm.journal.reader import JournalReader, LostCounts, WriterCounters
from otel_llm.journal.records import Record

RECORDS_PER_READ = 2_500
UNKNOWN_ERROR_NS = (1 << 32) - 1

_JOINS: dict[ProducerKind, type[Join]] = {
    "engine": EngineJoin,
    "frontend": FrontendJoin,
    "gateway": GatewayJoin,
    "worker": WorkerJoin,
}

_log = logging.getLogger("otel_llm.agent")


class Reading(msgspec.Struct, frozen=True):
    """What one look at a journal gave.

    Attributes:
        records: records read.
        facts: facts they completed.
        lost: facts lost, by reason.
        breaches: values refused, by label.
        swallowed: errors the writer's hooks swallowed since the last look.
        more: there may be more to read at once.
    """

    records: list[Record]
    facts: list[Joined]
    lost: dict[str, int]
    breaches: dict[str, int]
    swallowed: int
    more: bool


class FollowedJournal:
    """A journal that is being read.

    Args:
        reader: reads it, from the saved cursor if there is one.
        limits: settings of its join.
        now: a clock reading for facts before the journal's first.
        saved: what an earlier agent left.
    """

    def __init__(
        self, reader: JournalReader, limits: Limits, now: Anchor, saved: SavedJournal | None = None
    ) -> None:
        self.name = reader.path.name
        self.reader = reader
        breaches: Counter[str] = Counter()
        self.producer = clean_producer(reader.producer, breaches)
        self.join = make_join(self.producer, limits, now, saved)
        self.join.breaches.update(breaches)
        self._lost = LostCounts()
        self._dropped = saved.state.dropped if saved else 0
        self._swallowed = saved.state.swallowed if saved else 0
        self.ended_ns: EpochNs | None = None

    def read(self, now_ns: EpochNs) -> Reading:
        """Read on; once the writer is gone and all is read, end.

        Args:
            now_ns: wall time, kept as the time of the end.
        """
        if self.ended_ns is not None:  # kept until its end is saved, and then let go
            return Reading([], [], {}, {}, 0, more=False)
        alive = self.reader.is_alive()
        records = self.reader.read(RECORDS_PER_READ)
        counters = self.reader.counters
        lost = self._take_losses(counters)
        facts = self.join.feed(records)
        if not alive and not records:
            facts += self.join.end(clean_close=counters.clean_close)
            self.ended_ns = now_ns
        swallowed = max(0, counters.swallowed - self._swallowed)
        self._swallowed += swallowed
        lost.update(self.join.lost)
        breaches = dict(self.join.breaches)
        self.join.lost.clear()
        self.join.breaches.clear()
        more = bool(records) and (not alive or len(records) >= RECORDS_PER_READ)
        return Reading(records, facts, lost, breaches, swallowed, more)

    def checkpoint(self) -> tuple[SavedJournal, list[Change]]:
        """What to save now."""
        state = JournalState(
            self.producer, self.join.state, self._dropped, self._swallowed, self.ended_ns
        )
        return SavedJournal(self.name, self.reader.cursor, state), self.join.changes()

    def _take_losses(self, counters: WriterCounters) -> Counter[str]:
        before, now = self._lost, self.reader.lost
        dropped = max(0, counters.dropped - self._dropped)
        self._lost = now
        self._dropped += dropped
        lost = Counter(
            overwritten=now.overwritten - before.overwritten,
            corrupt=now.corrupt - before.corrupt,
            undecodable=now.undecodable - before.undecodable,
            dropped_by_writer=dropped,
        )
        if lost.total():
            self.join.note_lost(lost["overwritten"], lost.total() - lost["overwritten"])
        return lost


def make_join(
    producer: Producer, limits: Limits, now: Anchor, saved: SavedJournal | None = None
) -> Join:
    """The join for a journal's kind, going on from what was saved."""
    kind = _JOINS[producer.kind]
    join = kind(producer, limits, now)
    if saved is not None:
        try:
            join.restore(saved.state.join, saved.open_facts)
        except msgspec.MsgspecError as error:
            _log.error("%s: what was open is damaged and lost (%s)", saved.name, error)
            join = kind(producer, limits, now)
            join.restore(saved.state.join, [])
            lost = facts_in(saved.open_facts)
            join.lost["undecodable"] += lost
            join.note_lost(0, lost)
    return join


def end_without_file(saved: SavedJournal, limits: Limits) -> list[Joined]:
    """Give what was open in a journal whose file is gone, marked incomplete."""
    unknown = Anchor(EpochNs(0), MonotonicNs(0), UNKNOWN_ERROR_NS)
    join = make_join(saved.state.producer, limits, unknown, saved)
    join.note_lost(0, 0)
    return join.end(clean_close=False)
