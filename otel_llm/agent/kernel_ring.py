"""One kernel ring, followed from its first frame to its shim's end."""

import logging
from collections import Counter
from typing import NamedTuple

import msgspec

from otel_llm.agent.checkpoint import SavedFact
from otel_llm.agent.kernel_join import KernelJoin
from otel_llm.agent.open_facts import Change
from otel_llm.clock import Anchor, EpochNs
from otel_llm.facts.joined import Joined
from otel_llm.journal.reader import LostCounts
from otel_llm.kernels.reader import Frame, KernelReader

FRAMES_PER_READ = 1_000

_log = logging.getLogger("otel_llm.agent")


class Keeping(NamedTuple):
    """Settings of what is kept of kernels; see `otel_llm.settings`."""

    every: int = 100
    span_ratio: float = 0.01


class RingReading(NamedTuple):
    """What one look at a ring gave.

    Attributes:
        facts: facts that were completed.
        lost: frames, and rows that the shim could not write, by reason.
        breaches: rows and values refused, by label.
        told: growth of the shim's own counters.
        late: steps asked for late, by what became of them.
        yields: times the shim made way for another user of CUPTI.
        more: there may be more to read at once.
    """

    facts: list[Joined]
    lost: Counter[str]
    breaches: Counter[str]
    told: Counter[str]
    late: Counter[str]
    yields: int
    more: bool


class FollowedRing:
    """A ring that is being read.

    Args:
        reader: reads it from its beginning.
        keeping: settings.
        now: a clock reading for what comes before the ring's first.
        saved: what an earlier agent left.
    """

    def __init__(
        self, reader: KernelReader, keeping: Keeping, now: Anchor, saved: list[SavedFact]
    ) -> None:
        self.name = reader.path.name
        self.reader = reader
        self._lost = LostCounts()
        self._extra: Counter[str] = Counter()
        self.join = self._joined(keeping, now, saved)
        opened = self.join.told.state.open.values()
        self._from = min([self.join.told.state.seq, *opened])

    @property
    def ended_ns(self) -> EpochNs | None:
        """Wall time at which it was read out; None while it is followed."""
        return self.join.told.state.ended_ns

    def read(self, now_ns: EpochNs) -> RingReading:
        """Read on; once the shim is gone and all is read, end.

        Args:
            now_ns: wall time, kept as the time of the end.
        """
        if self.ended_ns is not None:
            return self._reading([], Counter(), more=False)
        alive = self.reader.is_alive()
        before = self.reader.cursor.seq
        frames = self.reader.read(FRAMES_PER_READ)
        lost = self._losses(before, frames)
        if lost.total():
            self.join.note_lost()
        facts = self.join.feed(frames, self.reader.names)
        # Frames past the last that was read may have been skipped; they are counted above.
        self.join.told.state.seq = max(self.join.told.state.seq, self.reader.cursor.seq)
        if not alive and not frames:
            facts += self.join.end()
            self.join.told.state.ended_ns = now_ns
        more = bool(frames) and (not alive or len(frames) >= FRAMES_PER_READ)
        return self._reading(facts, lost, more=more)

    def keep(self, seq: int, why: str) -> list[Joined]:
        """Keep a step in detail; what the ring still holds of it comes at once, the rest later."""
        places = self.join.keep(seq, why)
        if not places:
            return []
        frames = [self.reader.again(place) for place in places]
        return self.join.keep_from(seq, why, frames, self.reader.names)

    def changes(self) -> list[Change]:
        """What to save now."""
        return self.join.changes()

    def _losses(self, before: int, frames: list[Frame]) -> Counter[str]:
        """Frames lost by reason; those that an earlier agent had counted are none."""
        known, now, seq = self._lost, self.reader.lost, self.reader.cursor.seq
        self._lost = now
        lost: Counter[str] = Counter()
        if before >= self._from:
            lost.update(
                overwritten=now.overwritten - known.overwritten,
                corrupt=now.corrupt - known.corrupt,
                undecodable=now.undecodable - known.undecodable,
            )
        else:
            delivered = sum(frame.at.seq >= self._from for frame in frames)
            lost["overwritten"] = max(0, seq - self._from - delivered)
        dropped, state = self.reader.counters.dropped, self.join.told.state
        lost["dropped_by_writer"] = min(max(0, dropped - state.dropped), 1 << 48)
        state.dropped = min(max(dropped, state.dropped), (1 << 63) - 1)
        return lost

    def _reading(self, facts: list[Joined], lost: Counter[str], *, more: bool) -> RingReading:
        join, told = self.join, self.join.told
        lost.update(self._extra)
        lost["undecodable"] += join.undecodable
        reading = RingReading(
            facts, lost, Counter(told.breaches), Counter(told.counted), Counter(join.detail.late),
            told.yields, more,
        )  # fmt: skip
        for counts in (told.breaches, told.counted, join.detail.late, self._extra):
            counts.clear()
        join.undecodable = told.yields = 0
        return reading

    def _joined(self, keeping: Keeping, now: Anchor, saved: list[SavedFact]) -> KernelJoin:
        producer = self.reader.producer
        join = KernelJoin(producer, keeping.every, keeping.span_ratio, now)
        try:
            join.restore(saved)
        except msgspec.MsgspecError as error:
            _log.error("%s: what was open is damaged and lost (%s)", self.name, error)
            join = KernelJoin(producer, keeping.every, keeping.span_ratio, now)
            self._extra["undecodable"] += len(saved)
        return join
