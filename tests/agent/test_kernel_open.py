"""Open steps of a ring: which rows are whose, how many are held, and when a step is over."""

import numpy as np
import pytest

from otel_llm.agent import kernel_open
from otel_llm.agent.kernel_open import OpenSteps
from otel_llm.agent.kernel_rows import Rows
from otel_llm.agent.kernel_state import OLD, QUIET
from otel_llm.kernels import records


def rows(count: int) -> Rows:
    """So many single kernels."""
    return np.zeros(count, np.dtype(records.RAW_FIELDS))


def opened(
    steps: OpenSteps, low: int, number: int = 1, *, raw: bool = True, count: int = 1
) -> None:
    """Rows of a step have come in a frame of that number."""
    step = steps.at(low, number, replayed=False)
    assert step is not None
    steps.add(step, rows(count), raw=raw)


def test_rows_before_a_step_s_first_are_not_its_own() -> None:
    """A later agent reads the ring again: what an earlier step of that number had is left out."""
    steps = OpenSteps()
    steps.restore({7: 20})
    assert steps.at(7, 19, replayed=True) is None
    assert steps.at(7, 20, replayed=True) is steps.get(7)
    assert steps.at(8, 20, replayed=True) is None
    assert steps.firsts == {7: 20}


def test_rows_that_are_held_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of steps that were taken do not count any more."""
    monkeypatch.setattr(kernel_open, "MOST_ROWS", 10)
    steps = OpenSteps()
    for low in range(1, 30):
        opened(steps, low, count=6)
        assert steps.too_many() == []
        assert steps.take(low).rows == 6
    opened(steps, 30, count=6)
    opened(steps, 31, count=6)
    assert steps.too_many() == [30]


def test_when_a_step_is_over() -> None:
    """Two readings after its sums; much later without them; never by readings of before."""
    steps = OpenSteps()
    opened(steps, 1, raw=False)
    opened(steps, 2)
    for _ in range(QUIET - 1):
        assert steps.grow_older(0, replayed=False) == []
    assert steps.grow_older(0, replayed=True) == []
    assert steps.grow_older(0, replayed=False) == [1]
    steps.take(1)
    for _ in range(OLD - QUIET - 2):
        assert steps.grow_older(0, replayed=False) == []
    assert steps.grow_older(0, replayed=False) == [2]


def test_a_step_is_over_once_a_later_one_has_rows() -> None:
    """At the next reading, if its sums are in: the device runs one step after another."""
    steps = OpenSteps()
    for low, raw in ((5, False), (6, True), (7, False)):
        opened(steps, low, raw=raw)
        step = steps.get(low)
        assert step is not None
        step.seq = low
    assert steps.grow_older(7, replayed=False) == [5]
