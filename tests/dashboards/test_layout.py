"""Places of panels, and how fields become Grafana's."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from otel_llm.conventions.boards import board_uid
from otel_llm.dashboards.grafana import fields
from otel_llm.dashboards.grafana.board import COLUMNS, places
from otel_llm.dashboards.grafana.panels import About, Panel
from otel_llm.dashboards.grafana.targets import Sql

_SIZES = st.lists(st.tuples(st.integers(1, COLUMNS), st.integers(1, 20)), max_size=12)


@given(_SIZES, st.integers(0, 100))
def test_panels_never_lie_over_each_other(sizes: list[tuple[int, int]], top: int) -> None:
    """Whatever their sizes, panels stay inside the grid, below its top and apart."""
    about = About("", "", "")
    panels = [Panel("", "stat", (Sql(""),), about, width=w, height=h) for w, h in sizes]
    found = list(places(panels, top))
    assert [(place.width, place.height) for place in found] == sizes
    assert all(place.x + place.width <= COLUMNS and place.y >= top for place in found)
    for one, other in itertools.combinations(found, 2):
        apart = (
            one.x + one.width <= other.x or other.x + other.width <= one.x
            or one.y + one.height <= other.y or other.y + other.height <= one.y
        )  # fmt: skip
        assert apart


def test_limits_turn_round_where_low_is_bad() -> None:
    """Red is above the upper limit, or below the lower one where less is worse."""
    rising = fields.thresholds(fields.Limits(5, 10))["steps"]
    assert [(step["color"], step["value"]) for step in rising] == [
        ("green", None), ("orange", 5), ("red", 10),
    ]  # fmt: skip
    falling = fields.thresholds(fields.Limits(0.99, 0.95))["steps"]
    assert [(step["color"], step["value"]) for step in falling] == [
        ("red", None), ("orange", 0.95), ("green", 0.99),
    ]  # fmt: skip


def test_a_uid_is_its_name() -> None:
    """Links of others rest on uids, so they follow from the name alone."""
    assert board_uid("slo") == "otel-llm-slo"
