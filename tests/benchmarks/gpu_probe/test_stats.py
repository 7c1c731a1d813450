"""Medians, bounds and paired ratios."""

from __future__ import annotations

import statistics

import pytest
from gpuprobe import stats
from hypothesis import given, settings
from hypothesis import strategies as st

VALUES = st.lists(st.floats(0.001, 1e6), min_size=1, max_size=60)


@settings(max_examples=40)
@given(VALUES)
def test_median_is_that_of_the_standard_library(values: list[float]) -> None:
    """The median is the one everybody means."""
    assert stats.median(values) == pytest.approx(statistics.median(values))


@settings(max_examples=40)
@given(VALUES, st.floats(0, 100))
def test_percentile_lies_between_the_extremes(values: list[float], q: float) -> None:
    """No percentile is outside the data."""
    found = stats.percentile(values, q)
    assert min(values) <= found + 1e-9
    assert found - 1e-9 <= max(values)


def test_percentile_refuses_nothing_and_nonsense() -> None:
    """No values, or a percentile that does not exist, is an error and not a number."""
    with pytest.raises(ValueError, match="no values"):
        stats.percentile([], 50)
    with pytest.raises(ValueError, match="101"):
        stats.percentile([1.0], 101)


@settings(max_examples=40)
@given(VALUES)
def test_interval_holds_the_median(values: list[float]) -> None:
    """The bounds lie around the sample's median."""
    low, high = stats.median_interval(values)
    assert low - 1e-9 <= stats.median(values) <= high + 1e-9


def test_interval_has_the_ranks_of_the_binomial_table() -> None:
    """For 20 values the 95 % bounds of the median are the 6th and the 15th (any textbook)."""
    assert stats.median_interval([float(n) for n in range(1, 21)]) == (6.0, 15.0)


def test_interval_of_few_values_is_their_extremes() -> None:
    """Three values cannot give 95 %: the bounds are as wide as the data."""
    assert stats.median_interval([3.0, 1.0, 2.0]) == (1.0, 3.0)


@settings(max_examples=40)
@given(VALUES, st.floats(0.5, 2))
def test_paired_ratio_finds_a_common_factor(base: list[float], factor: float) -> None:
    """When every round is slower by one factor, the ratio is that factor."""
    found = stats.paired_ratio(base, [value * factor for value in base])
    assert found["median"] == pytest.approx(factor)
    assert found["low95"] == pytest.approx(factor)
    assert found["rounds"] == len(base)


def test_paired_ratio_refuses_unequal_rounds() -> None:
    """Values without a partner are an error."""
    with pytest.raises(ValueError, match="2 and 1"):
        stats.paired_ratio([1.0, 2.0], [1.0])


def test_describe_of_nothing_says_nothing() -> None:
    """No values give a count and no invented numbers."""
    assert stats.describe([]) == {"n": 0}


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 200), st.integers(0, 50)), max_size=20))
def test_union_counts_overlaps_once(spans: list[tuple[int, int]]) -> None:
    """The union of spans is the number of distinct units that they cover."""
    pairs = [(start, start + length) for start, length in spans]
    covered = {unit for start, end in pairs for unit in range(start, end)}
    assert stats.union_length(pairs) == len(covered)
