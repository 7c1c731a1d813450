"""Fakes for tests of instrumented code; users may use them too."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager

from otel_llm import isolation
from otel_llm.clock import Anchor, Clock, EpochNs, MonotonicNs


class FakeClock(Clock):
    """A clock that moves only when told.

    Args:
        monotonic_ns: its monotonic time, in nanoseconds.
        wall_ns: its wall time, in nanoseconds.
    """

    def __init__(
        self, monotonic_ns: int = 1_000_000_000, wall_ns: int = 1_700_000_000_000_000_000
    ) -> None:
        self._monotonic = monotonic_ns
        self._wall = wall_ns

    def monotonic_ns(self) -> MonotonicNs:
        """The present monotonic time, in nanoseconds."""
        return MonotonicNs(self._monotonic)

    def anchor(self) -> Anchor:
        """Both clocks, with an error of 1 ns."""
        return Anchor(EpochNs(self._wall), MonotonicNs(self._monotonic), 1)

    def advance(self, nanoseconds: int) -> None:
        """Let time pass on both clocks, in nanoseconds."""
        self._monotonic += nanoseconds
        self._wall += nanoseconds

    def step_wall(self, nanoseconds: int) -> None:
        """Set the wall clock forward or back; monotonic time does not notice."""
        self._wall += nanoseconds


def counted_ids(prefix: str) -> Iterator[str]:
    """`prefix-1`, `prefix-2`, … in place of random ids."""
    return (f"{prefix}-{number}" for number in itertools.count(1))


class Swallowed(list[tuple[str, Exception]]):
    """Errors that guards swallowed, as (place, error), in order."""

    @property
    def places(self) -> list[str]:
        """Where they were swallowed."""
        return [place for place, _ in self]


@contextmanager
def collect_swallowed() -> Iterator[Swallowed]:
    """Collect what the isolation layer swallows inside the block."""
    seen = Swallowed()
    stop = isolation.observe(lambda place, error: seen.append((place, error)))
    try:
        yield seen
    finally:
        stop()


@contextmanager
def loud() -> Iterator[None]:
    """Let every error that a guard would swallow reach the caller inside the block."""

    def raise_it(_place: str, error: Exception) -> None:
        raise error

    stop = isolation.observe(raise_it)
    try:
        yield
    finally:
        stop()
