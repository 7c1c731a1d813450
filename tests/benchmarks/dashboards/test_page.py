"""What a check complains of, and how values are written."""

from typing import Any

import pytest

from benchmarks.dashboards import units
from benchmarks.dashboards.__main__ import complaints
from benchmarks.dashboards.ask import Answer

GOOD: dict[str, Any] = {
    "failing": {}, "json_problems": [], "without_data": {"a: b": "no drafts in the demo"},
    "reasons_not_needed": [], "panels": 100, "panels_without_data": 1, "exemplars": 3,
    "large": {"over": []},
}  # fmt: skip


def test_a_good_check_has_no_complaint() -> None:
    """A panel may be empty if the reason is known."""
    assert complaints(GOOD) == []


@pytest.mark.parametrize(
    ("worse", "complaint"),
    [
        ({"failing": {"a: b": ["refused"]}}, "failing: a: b"),
        ({"json_problems": ["two lie over each other"]}, "in the JSON"),
        ({"without_data": {"a: b": ""}}, "has no reason: a: b"),
        ({"reasons_not_needed": ["a: c"]}, "a: c, which has data"),
        ({"panels_without_data": 6}, "6 of 100 panels"),
        ({"exemplars": 0}, "no exemplar"),
        ({"large": {"over": ["a: b"]}}, "above its budget in a large store: a: b"),
    ],
)
def test_each_fault_is_told(worse: dict[str, Any], complaint: str) -> None:
    """Whatever is wrong is named."""
    [found] = complaints(GOOD | worse)
    assert complaint in found


@pytest.mark.parametrize(
    ("answer", "has_data"),
    [
        (Answer(), False),
        (Answer(columns=("a",), rows=((None,),)), False),
        (Answer(columns=("a",), rows=((float("nan"),),)), False),
        (Answer(columns=("a",), rows=((0,),)), True),
        (Answer(columns=("a",), rows=(("text",),)), True),
        (Answer(series=(({}, ((1.0, float("nan")),)),)), False),
        (Answer(series=(({}, ((1.0, 0.0),)),)), True),
    ],
)
def test_what_counts_as_data(answer: Answer, has_data: bool) -> None:
    """Something that a reader would see: nulls and not-a-numbers are nothing."""
    assert answer.has_data is has_data


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0123, "s", "12.3 ms"), (2.5, "s", "2.5 s"), (0.000004, "s", "4 µs"), (0, "s", "0 s"),
        (0.5, "percentunit", "50 %"), (1536, "bytes", "1.5 KiB"), (1234567, "short", "1.23 Mil"),
        (None, "s", ""), ("engine-a", "s", "engine-a"), (0.5, "currencyUSD", "$0.5"),
    ],
)  # fmt: skip
def test_values_are_written_as_grafana_does(value: object, unit: str, text: str) -> None:
    """Units scale to what is easily read."""
    assert units.text(value, unit) == text
