"""Joins a kernel ring's frames into facts of steps, ten seconds and single kernels.

A state machine without clock or I/O, as the other joins. Single kernels come before their step's
sums, a step's rows in several frames; a step is given at the first clock reading of the ring (one a
second) after rows of a later step, else once two have passed without a row of it. What comes later
makes a further fact, and the two add up.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import numpy as np

from otel_llm.agent.kernel_detail import LOW, Detail
from otel_llm.agent.kernel_given import Over, in_detail, kept, over, sums_of
from otel_llm.agent.kernel_open import OpenSteps
from otel_llm.agent.kernel_rows import (
    SOURCE,
    Rows,
    device_index,
    named_sums,
    runs,
    together,
)
from otel_llm.agent.kernel_state import RingState
from otel_llm.agent.kernel_told import RingTold
from otel_llm.agent.kernel_totals import OpenKernelTotals, Sums
from otel_llm.agent.open_facts import Change, Kept, Key, Recent
from otel_llm.clock import Anchor
from otel_llm.facts.joined import Joined, KernelTotals
from otel_llm.isolation import Guard
from otel_llm.journal.reader import Cursor
from otel_llm.kernels.reader import Frame, KernelProducer, rows, state
from otel_llm.kernels.records import ANCHOR, COUNTERS_KIND, IDENTITY, RAW, STATE, STEPS
from otel_llm.kernels.whose import Whose


class KernelJoin:
    """Joins one ring.

    Args:
        ring: who writes it.
        every: single kernels are kept of steps whose number this divides; 0 for none.
        span_ratio: share of steps that have a span.
        now: clock reading until the ring's first.

    Attributes:
        told: what the ring says of itself.
        detail: what is kept of it in detail.
        undecodable: frames that were refused since the caller last took it.
    """

    def __init__(self, ring: KernelProducer, every: int, span_ratio: float, now: Anchor) -> None:
        self.told = RingTold(ring, now)
        self.detail = Detail(every)
        self._span_ratio = span_ratio
        self._open = OpenSteps()
        self._replaying = 0
        self._totals = OpenKernelTotals(self.told.producer)
        self._guard = Guard("agent.kernels", self._note_refused)
        self.undecodable = 0

    # -- what is saved

    def changes(self) -> list[Change]:
        """What to save: the state, and everything remembered that changed since `saved`."""
        self.told.state.open = self._open.firsts
        saved = ("ring", 0, msgspec.msgpack.encode(self.told.state))
        return [saved, *(one for memory in self._memory() for one in memory.changes())]

    def saved(self) -> None:
        """What `changes` returned is safe."""
        for memory in self._memory():
            memory.saved()

    def restore(self, saved: Sequence[tuple[str, Key, bytes]]) -> None:
        """Go on from what was saved. Feed the ring from its beginning: nothing is counted again.

        Raises:
            msgspec.MsgspecError: it cannot be decoded.
        """
        for kind, _, body in saved:
            if kind == "ring":
                self.told.state = msgspec.msgpack.decode(body, type=RingState)
        self._replaying = self.told.state.seq
        self._belongs_to(self.told.state.whose)
        self._open.restore(self.told.state.open)
        for memory in self._memory():
            memory.restore(saved)

    # -- frames

    def feed(self, frames: Iterable[Frame], names: dict[int, str]) -> list[Joined]:
        """Take in frames in the order of the ring; give the facts they complete.

        Args:
            frames: as the reader gave them.
            names: the names that it knows, which may be more than the frames need.
        """
        joined: list[Joined] = []
        self.told.names = names
        for frame in frames:
            with self._guard:
                joined += self._take(frame)
            self.told.state.seq = max(self.told.state.seq, frame.at.seq + 1)
        while oldest := self._open.too_many():
            with self._guard:
                joined += self._give(oldest)
        return joined

    def note_lost(self) -> None:
        """Frames were lost: what is open or begins before the next clock reading may miss some.

        Call before `feed`.
        """
        self._open.note_lost()

    def end(self) -> list[Joined]:
        """The shim is gone and all was read: give what is open."""
        given: list[Joined] = []
        with self._guard:
            given += self._give(list(self._open), last=True)
        self.detail.end()
        return [*given, *self._totals.give_all()]

    # -- late keeping

    def keep(self, seq: int, why: str) -> list[Cursor]:
        """Keep a step in detail, although nobody asked for it when it ran.

        Args:
            seq: the step.
            why: slow, failed or expensive.

        Returns:
            Frames that may hold its kernels, for `keep_from`; empty where the step is still open,
            is kept already, or is gone.
        """
        is_coming = seq & LOW in self._open or seq > self.told.state.newest
        return self.detail.ask(seq, why, is_coming=is_coming)

    def keep_from(
        self, seq: int, why: str, frames: Sequence[Frame | None], names: dict[int, str]
    ) -> list[Joined]:
        """The step's kernels from frames that were read again; none if the ring has lost one."""
        self.told.names = names
        low = np.uint32(seq & LOW)
        parts = [rows(frame) for frame in frames if frame is not None]
        if len(parts) < len(frames):
            self.detail.late["gone"] += 1
            return []
        raw = self.told.believed(together([one[one["step"] == low] for one in parts]), raw=True)
        if not len(raw):
            self.detail.late["gone"] += 1
            return []
        self.detail.is_kept(seq, why)
        step = Over(seq, raw, None, incomplete=False)
        return in_detail(step, self.told.setting, why, self._span_ratio)

    # -- inside

    def _memory(self) -> Sequence[Kept[Any] | Recent]:
        return (self._totals, *self.detail.memory)

    def _take(self, frame: Frame) -> list[Joined]:
        replayed = frame.at.seq < self._replaying
        if frame.kind == RAW:
            self._take_raw(frame, replayed=replayed)
        elif frame.kind == STEPS:
            return self._take_sums(rows(frame), frame.at.seq, replayed=replayed)
        elif frame.kind == ANCHOR:
            return self._take_anchor(frame, replayed=replayed)
        elif replayed:
            return []
        elif frame.kind == COUNTERS_KIND:
            if self.told.take_counters(frame):
                self.note_lost()
        elif frame.kind == STATE:
            self.told.yields += state(frame)[1] == "waiting"
        elif frame.kind == IDENTITY:
            return self._identified(frame)
        return []

    def _take_raw(self, frame: Frame, *, replayed: bool) -> None:
        found = self.told.believed(rows(frame), raw=True, counted=not replayed)
        for low, ours in runs(found, "step"):
            self.detail.remember(low, frame.at)
            step = self._open.at(low, frame.at.seq, replayed=replayed)
            if step is not None:
                self._open.add(step, ours, raw=True)

    def _take_sums(self, found: Rows, at: int, *, replayed: bool) -> list[Joined]:
        found = self.told.believed(found, raw=False, counted=not replayed)
        given: list[Joined] = []
        for seq, ours in runs(found, "key"):
            low = seq & LOW
            step = self._open.get(low)
            if step is not None and step.seq not in (None, seq):  # 2**32 steps apart
                given += self._give([low])
            step = self._open.at(low, at, replayed=replayed)
            if step is not None:
                step.seq = seq
                self._open.add(step, ours, raw=False)
            self.told.state.newest = max(self.told.state.newest, seq)
        return given if replayed else [*given, *self._count(found)]

    def _take_anchor(self, frame: Frame, *, replayed: bool) -> list[Joined]:
        over_now = self._open.grow_older(self.told.state.newest, replayed=replayed)
        if replayed:
            return []
        self.told.take_clock(frame)
        given = self._give(over_now, last=True)
        self.detail.expire(self._open)
        return [*given, *self._totals.give_before(self.told.anchor.wall_ns)]

    def _identified(self, frame: Frame) -> list[Joined]:
        whose = self.told.another(frame)
        if whose is None:
            return []
        given = [*self._give(list(self._open), last=True), *self._totals.give_all()]
        self._belongs_to(whose)
        return given

    def _belongs_to(self, whose: Whose) -> None:
        self.told.belongs_to(whose)
        self._totals.producer = self.told.producer

    def _count(self, found: Rows) -> list[KernelTotals]:
        """Add sums to the ten seconds that they began in."""
        if not len(found):
            return []
        to = self.told.setting
        device = device_index(found, to.numbers)
        names, index = named_sums(found, self.told.names)
        wall = found["first_ns"].astype(np.int64) - self.told.state.cupti_ns
        parts = (found[one].astype(np.int64) for one in ("count", "total_ns", "min_ns", "max_ns"))
        return self._totals.add_sums(
            Sums(names, to.devices, to.rank, SOURCE, wall, device, index, *parts)
        )

    def _give(self, lows: Sequence[int], *, last: bool = False) -> list[Joined]:
        """What is known of steps, as facts.

        Args:
            lows: which steps.
            last: sums that have not come by now are lost. Else they will come, and count then.
        """
        steps = over({low: self._open.take(low) for low in lows}, self.told.state.newest)
        to = self.told.setting
        return [
            *sums_of(steps, to, last=last),
            *kept(steps, to, self.detail, self._span_ratio),
        ]

    def _note_refused(self) -> None:
        self.undecodable += 1
        self.note_lost()
