"""A board: rows of panels put into places, and the whole as Grafana's JSON by way of grafanalib."""

import json
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from grafanalib import core
from grafanalib._gen import DashboardEncoder

from otel_llm.conventions.boards import board_uid
from otel_llm.dashboards.grafana.panels import Panel, body

SCHEMA_VERSION = 41
"""Of Grafana 11.6; grafanalib's own is 12. Later Grafanas migrate it as they load it."""
COLUMNS = 24
_NOT_OF_DASHBOARDS = frozenset(
    {"__inputs", "hideControls", "rows", "sharedCrosshair", "style", "gnetId", "id"}
)
_NOT_OF_PANELS = frozenset(
    {"cacheTimeout", "editable", "error", "height", "hideTimeOverride", "minSpan", "span",
     "maxPerRow"}
)  # fmt: skip
_NOT_OF_VARIABLES = frozenset(
    {"useTags", "tagsQuery", "tagValuesQuery", "auto", "auto_min", "auto_count"}
)
"""What grafanalib writes and Grafana's schema does not have."""


class Row(NamedTuple):
    """A heading with panels below it, from left to right, wrapped."""

    title: str
    panels: tuple[Panel, ...]


class Board(NamedTuple):
    """A dashboard.

    Attributes:
        name: of its file and in its uid; never changed once published.
        title: for readers.
        description: the question that it answers.
        variables: what a reader can choose.
        rows: its panels.
    """

    name: str
    title: str
    description: str
    variables: tuple[core.Template, ...]
    rows: tuple[Row, ...]


class Place(NamedTuple):
    """Where a panel lies, in grid units."""

    x: int
    y: int
    width: int
    height: int


def places(panels: Sequence[Panel], top: int) -> Iterator[Place]:
    """Places from left to right; the next line begins below the highest panel of this one.

    Args:
        panels: what to place.
        top: where the first line begins.
    """
    x, y, highest = 0, top, 0
    for panel in panels:
        if x + panel.width > COLUMNS:
            x, y, highest = 0, y + highest, 0
        yield Place(x, y, panel.width, panel.height)
        x, highest = x + panel.width, max(highest, panel.height)


class _Panel(core.Panel):  # type: ignore[misc]  # grafanalib is untyped
    """grafanalib's panel with a body of our own."""

    body: Mapping[str, Any] = MappingProxyType({})

    def to_json_data(self) -> dict[str, Any]:
        """The panel's JSON. grafanalib merges into its own thresholds; ours take their place."""
        return {**self.panel_json({}), **self.body}


def render(board: Board, links: Sequence[core.DashboardLink]) -> str:
    """A board's JSON, the same for the same board: sorted keys, no date, no version.

    Args:
        board: the board.
        links: shown at its top.
    """
    dashboard = core.Dashboard(
        title=f"otel-llm / {board.title}",
        description=board.description,
        uid=board_uid(board.name),
        tags=["otel-llm"],
        panels=list(_placed(board.rows)),
        templating=core.Templating(list=list(board.variables)),
        time=core.Time("now-1h", "now"),
        refresh="30s",
        timezone="browser",
        graphTooltip=core.GRAPH_TOOLTIP_MODE_SHARED_CROSSHAIR,
        schemaVersion=SCHEMA_VERSION,
        links=list(links),
    )
    plain = json.loads(json.dumps(dashboard, cls=DashboardEncoder))
    return json.dumps(_known(plain), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _placed(rows: Sequence[Row]) -> Iterator[core.Panel]:
    number, top = 1, 0
    for row in rows:
        heading = core.GridPos(h=1, w=COLUMNS, x=0, y=top)
        yield core.RowPanel(title=row.title, gridPos=heading, id=number)
        number, bottom = number + 1, top + 1
        for panel, place in zip(row.panels, places(row.panels, top + 1), strict=True):
            grid = core.GridPos(h=place.height, w=place.width, x=place.x, y=place.y)
            placed = _Panel(gridPos=grid, id=number, maxDataPoints=None)
            placed.body = body(panel)
            yield placed
            number, bottom = number + 1, max(bottom, place.y + place.height)
        top = bottom


def _known(dashboard: dict[str, Any]) -> dict[str, Any]:
    """A dashboard without what Grafana's schema does not have."""
    found = _without(dashboard, _NOT_OF_DASHBOARDS)
    found["panels"] = [_panel(each) for each in dashboard["panels"]]
    found["timepicker"] = _without(dashboard["timepicker"], frozenset({"time_options"}))
    variables = dashboard["templating"]["list"]
    found["templating"] = {"list": [_without(each, _NOT_OF_VARIABLES) for each in variables]}
    for variable in found["templating"]["list"]:
        # grafanalib writes a choice of nothing where none was made.
        if variable["current"].get("value") is None:
            del variable["current"]
        else:
            variable["current"].pop("tags", None)
    return found


def _panel(panel: dict[str, Any]) -> dict[str, Any]:
    found = _without(panel, _NOT_OF_PANELS)
    if found.get("type") != "row":
        return found
    return {name: found[name] for name in ("type", "id", "title", "gridPos", "collapsed", "panels")}


def _without(values: dict[str, Any], names: frozenset[str]) -> dict[str, Any]:
    return {
        name: value for name, value in values.items() if name not in names and value is not None
    }
