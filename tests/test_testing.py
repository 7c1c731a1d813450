"""The fakes that tests of instrumented code use."""

from itertools import islice

from otel_llm.isolation import Guard
from otel_llm.testing import FakeClock, Swallowed, collect_swallowed, counted_ids


def test_a_fake_clock_moves_when_told() -> None:
    """Both clocks advance together; a wall step moves the wall clock alone."""
    clock = FakeClock(monotonic_ns=10, wall_ns=1000)
    clock.advance(5)
    clock.step_wall(-200)
    anchor = clock.anchor()
    assert (clock.monotonic_ns(), anchor.mono_ns, anchor.wall_ns) == (15, 15, 805)
    assert anchor.wall(clock.monotonic_ns()) == 805


def test_counted_ids() -> None:
    """Ids count up, so that a test can name them beforehand."""
    assert list(islice(counted_ids("req"), 3)) == ["req-1", "req-2", "req-3"]


def test_collecting_what_was_swallowed(swallowed: Swallowed) -> None:
    """Only what happens inside the block is collected."""
    with collect_swallowed() as inside, Guard("a"):
        raise KeyError
    with Guard("b"):
        raise ValueError
    assert inside.places == ["a"]
    assert swallowed.places == ["a", "b"]
    swallowed.clear()
