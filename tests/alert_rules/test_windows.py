"""Burn windows: factors are computed, for any period."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_llm.alert_rules import durations, windows

DAY = 86_400.0


def test_the_factors_of_the_workbook() -> None:
    """The four pairs of 30 days have the factors that the workbook prints."""
    assert [pair.factor for pair in windows.load()] == pytest.approx([14.4, 6, 3, 1])


@given(st.integers(min_value=1, max_value=120), st.sampled_from([1.0, 15.0, 30.0, 60.0]))
def test_scaling_keeps_the_factors(days: int, scrape_s: float) -> None:
    """Whatever the period: same factors, short below long, and four scrapes in each window."""
    pairs = windows.load()
    for old, new in zip(pairs, windows.scaled(pairs, days * DAY, scrape_s), strict=True):
        assert new.factor == pytest.approx(old.factor)
        assert windows.FEWEST_SCRAPES * scrape_s <= new.short_s < new.long_s
        assert new.short_s % scrape_s == 0


def test_thirty_days_stay_as_they_are() -> None:
    """The default period is not touched."""
    pairs = windows.load()
    for old, new in zip(pairs, windows.scaled(pairs, 30 * DAY), strict=True):
        assert new.severity == old.severity
        assert new[1:] == pytest.approx(old[1:])


@given(st.floats(min_value=1e-4, max_value=0.06), st.floats(min_value=0.001, max_value=1.0))
def test_least_detection(budget: float, share: float) -> None:
    """After the least time, and not a second before, the long window holds the threshold."""
    for pair in windows.load():
        least_s = pair.least_detection_s(budget, share)
        threshold = pair.factor * budget
        if share <= threshold:
            assert math.isinf(least_s)
            continue
        assert share * least_s / pair.long_s == pytest.approx(threshold)
        assert least_s <= pair.long_s


@pytest.mark.parametrize("text", ["500ms", "90s", "5m", "2h", "30d", "1s"])
def test_durations(text: str) -> None:
    """Texts survive the way to seconds and back."""
    assert durations.text(durations.seconds(text)) == text


@pytest.mark.parametrize("text", ["", "5", "m5", "-5m", "0s", "5 m", "1h30m"])
def test_no_durations(text: str) -> None:
    """Anything else is refused."""
    with pytest.raises(ValueError, match="is no duration"):
        durations.seconds(text)
