"""Medians, percentiles and paired ratios; no distribution is assumed."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence


def percentile(values: Sequence[float], q: float) -> float:
    """The q-th percentile (0 to 100) by linear interpolation.

    Raises:
        ValueError: there are no values, or q is outside 0 to 100.
    """
    if not values:
        msg = "percentile of no values"
        raise ValueError(msg)
    if not 0 <= q <= 100:
        msg = f"percentile {q} is not between 0 and 100"
        raise ValueError(msg)
    ordered = sorted(values)
    position = (len(ordered) - 1) * q / 100
    low = math.floor(position)
    high = math.ceil(position)
    return ordered[low] + (ordered[high] - ordered[low]) * (position - low)


def median(values: Sequence[float]) -> float:
    """The middle value, or the mean of the two middle ones."""
    return percentile(values, 50)


def describe(values: Sequence[float]) -> dict[str, float]:
    """Count, median, spread and extremes; only the count when there are no values."""
    if not values:
        return {"n": 0}
    return {
        "n": len(values),
        "median": median(values),
        "p05": percentile(values, 5),
        "p95": percentile(values, 95),
        "p99": percentile(values, 99),
        "min": min(values),
        "max": max(values),
    }


def median_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float]:
    """Bounds of the population median from order statistics (binomial, no distribution assumed).

    With too few values for the confidence asked, the extremes are returned: they are then the
    widest bounds that the data can give.
    """
    ordered = sorted(values)
    count = len(ordered)
    tail = 0.0
    rank = 0
    for k in range(count // 2):
        tail += math.comb(count, k) / 2**count
        if tail > (1 - confidence) / 2:
            break
        rank = k + 1
    rank = max(rank, 1)
    return ordered[rank - 1], ordered[count - rank]


def paired_ratio(base: Sequence[float], other: Sequence[float]) -> dict[str, float]:
    """Median of other/base over rounds, each round one pair, with 95 % bounds.

    Raises:
        ValueError: the two differ in length, or are empty.
    """
    if len(base) != len(other) or not base:
        msg = f"{len(base)} and {len(other)} values cannot be paired"
        raise ValueError(msg)
    ratios = [b / a for a, b in zip(base, other, strict=True)]
    low, high = median_interval(ratios)
    return {"rounds": len(ratios), "median": median(ratios), "low95": low, "high95": high}


def intervals(stamps: Sequence[float]) -> list[float]:
    """Differences between neighbours."""
    return [b - a for a, b in itertools.pairwise(stamps)]


def union_length(spans: Sequence[tuple[int, int]]) -> int:
    """Total length covered by (start, end) spans, overlaps counted once."""
    covered = 0
    reached = 0
    for start, end in sorted(spans):
        begin = max(start, reached)
        if end > begin:
            covered += end - begin
            reached = end
    return covered
