"""Stopwatches show a hook's own time: neither vLLM's own, nor that of hooks inside it."""

from collections.abc import Callable
from typing import Any

import pytest

from benchmarks.vllm_hooks import meter
from otel_llm.patching import Patch, Replacement


class Ticks:
    """A clock that only moves when told to."""

    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        """The time."""
        return self.now


@pytest.fixture
def ticks(monkeypatch: pytest.MonkeyPatch) -> Ticks:
    """The stopwatches' clock."""
    made = Ticks()
    monkeypatch.setattr(meter, "perf_counter_ns", made)
    return made


def engine(ticks: Ticks) -> Any:  # noqa: ANN401
    """A class whose `outer` takes 1000 and calls `inner`, which takes 100; `fails` raises."""

    class Engine:
        def inner(self) -> None:
            ticks.now += 100

        def outer(self) -> str:
            ticks.now += 500
            self.inner()
            ticks.now += 500
            return "done"

        def fails(self) -> None:
            ticks.now += 7
            raise KeyError

        async def later(self) -> str:
            return "later"

    return Engine


def slow(ticks: Ticks, before: int, after: int) -> Callable[..., Any]:
    """A hook that takes so long before and after."""

    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def hook(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            ticks.now += before
            try:
                return original(*args, **kwargs)
            finally:
                ticks.now += after

        return hook

    return make


def patches(ticks: Ticks, owner: type) -> tuple[Patch, ...]:
    """Hooks of all its methods, each with its own times."""
    times = {"outer": (3, 4), "inner": (20, 10), "fails": (1, 1), "later": (5, 5)}
    return tuple(
        Patch(name, (Replacement(owner, name, slow(ticks, *both)),)) for name, both in times.items()
    )


def test_each_hook_counts_for_itself(ticks: Ticks) -> None:
    """A hook inside a hooked function adds nothing to the outer one."""
    owner = engine(ticks)
    made = meter.Meter(patches(ticks, owner))
    assert made.timed.apply() == []
    assert owner().outer() == "done"
    assert owner().outer() == "done"
    shown = made.by_hook_ns()
    assert (shown["Engine.outer"], shown["Engine.inner"]) == (14, 60)
    assert made.spent_ns() == 74


def test_a_failure_passes_and_counts(ticks: Ticks) -> None:
    """What vLLM raises comes through, and the hook's time is kept."""
    owner = engine(ticks)
    made = meter.Meter(patches(ticks, owner))
    made.timed.apply()
    with pytest.raises(KeyError):
        owner().fails()
    assert made.by_hook_ns()["Engine.fails"] == 2


def test_without_hooks_only_the_stopwatches_are_left(ticks: Ticks) -> None:
    """`empty` times nothing, and undoing puts back what was there."""
    owner = engine(ticks)
    before = dict(vars(owner))
    made = meter.Meter(patches(ticks, owner))
    made.empty.apply()
    owner().outer()
    assert made.spent_ns() == 0
    made.empty.undo()
    assert dict(vars(owner)) == before


def test_the_stopwatches_own_time_is_taken_off() -> None:
    """What is left is the hooks', by medians: a step that was disturbed says nothing."""
    assert meter.own_time([9.0, 7.0, 900.0], [2.0, 1.0, 3.0]) == 7.0


async def test_coroutines_are_hooked_but_not_timed(ticks: Ticks) -> None:
    """Other tasks run while one waits, so its time would say nothing."""
    owner = engine(ticks)
    made = meter.Meter(patches(ticks, owner))
    made.timed.apply()
    assert await owner().later() == "later"
    assert ticks.now == 10
    assert made.spent_ns() == 0
