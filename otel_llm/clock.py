"""Two clocks, two types: wall time for people, monotonic time for arithmetic.

Stamps inside one host are monotonic. They become wall time through an anchor: one reading of both
clocks, bracketed so that its error is known. A wall-clock step between two stamps of one request
therefore changes no duration.
"""

import time
from typing import NewType

import msgspec

EpochNs = NewType("EpochNs", int)
"""Wall time: nanoseconds since 1970-01-01T00:00:00Z (CLOCK_REALTIME)."""

MonotonicNs = NewType("MonotonicNs", int)
"""Nanoseconds of CLOCK_MONOTONIC. Comparable within one boot and one time namespace only."""


class Anchor(msgspec.Struct, frozen=True, array_like=True):
    """One simultaneous reading of both clocks.

    Attributes:
        wall_ns: CLOCK_REALTIME, in nanoseconds.
        mono_ns: CLOCK_MONOTONIC, in nanoseconds.
        error_ns: half the width of the bracket around the wall reading, in nanoseconds.
    """

    wall_ns: EpochNs
    mono_ns: MonotonicNs
    error_ns: int

    @property
    def offset_ns(self) -> int:
        """What to add to a monotonic stamp to get wall time, in nanoseconds."""
        return self.wall_ns - self.mono_ns

    def wall(self, mono_ns: MonotonicNs) -> EpochNs:
        """Convert a monotonic stamp to wall time, in nanoseconds."""
        return EpochNs(mono_ns + self.offset_ns)


class Clock:
    """The machine's clocks. Tests pass `otel_llm.testing.FakeClock` in its place."""

    def monotonic_ns(self) -> MonotonicNs:
        """Read CLOCK_MONOTONIC, in nanoseconds."""
        return MonotonicNs(time.monotonic_ns())

    def anchor(self) -> Anchor:
        """Read both clocks at once."""
        before = time.monotonic_ns()
        wall = time.time_ns()
        after = time.monotonic_ns()
        return Anchor(
            EpochNs(wall), MonotonicNs((before + after) // 2), max(1, (after - before + 1) // 2)
        )


SYSTEM_CLOCK = Clock()
