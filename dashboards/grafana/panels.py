"""The kinds of panels, as plain values, and what Grafana calls their options.

grafanalib has time series, tables and stats in the forms of Grafana 8, and neither the trace view,
the node graph, today's heatmap nor the xy chart. Each kind here is a set of options by name.
"""

from typing import Any, Literal, NamedTuple

from otel_llm.dashboards.grafana import fields
from otel_llm.dashboards.grafana.targets import Query, Sql, source, target

Kind = Literal[
    "timeseries", "stat", "table", "heatmap", "state-timeline", "nodeGraph", "traces", "bargauge",
    "xychart",
]  # fmt: skip
Calc = Literal["lastNotNull", "max", "mean", "sum"]


class About(NamedTuple):
    """A panel's description, which Grafana shows at its title.

    Attributes:
        means: what it shows.
        source: the table or metric it comes from.
        wrong: what to do when it looks wrong.
    """

    means: str
    source: str
    wrong: str

    def text(self) -> str:
        """The description as Markdown."""
        return f"{self.means}\n\n**Source:** {self.source}\n\n**If it looks wrong:** {self.wrong}"


class Panel(NamedTuple):
    """One panel, without its place.

    Attributes:
        title: a few words.
        kind: how it is drawn.
        queries: what it asks.
        about: its description.
        unit: of its values.
        width: in columns of 24.
        height: in rows of 30 pixels.
        draw: of time series: lines, bars or points.
        stacked: of time series: one upon the other.
        limits: from when on values are bad.
        columns: columns and series that are shown in another way.
        links: from all values.
        calc: of stats and bars: which value is shown.
        decimals: digits after the point.
        low: smallest value of the axis.
        high: largest value of the axis.
        states: of state timelines: text and colour by value.
        name: of series: their name, with labels as `${__field.labels.name}`.
        calculated: of heatmaps: buckets are made from values, in place of coming as buckets.
    """

    title: str
    kind: Kind
    queries: tuple[Query, ...]
    about: About
    unit: fields.Unit = "short"
    width: int = 8
    height: int = 8
    draw: fields.Draw = "line"
    stacked: bool = False
    limits: fields.Limits | None = None
    columns: tuple[fields.Column, ...] = ()
    links: tuple[fields.Link, ...] = ()
    calc: Calc = "lastNotNull"
    decimals: int | None = None
    low: float | None = None
    high: float | None = None
    states: tuple[tuple[str, str, str], ...] = ()
    name: str = ""


def body(panel: Panel) -> dict[str, Any]:
    """A panel's JSON but for its id and place."""
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.about.text(),
        "datasource": source(panel.queries[0]),
        "targets": [target(query, chr(65 + i)) for i, query in enumerate(panel.queries)],
        "options": _OPTIONS[panel.kind](panel),
        "fieldConfig": {
            "defaults": _defaults(panel),
            "overrides": fields.overrides(panel.columns),
        },
        "transparent": False,
    }


def _defaults(panel: Panel) -> dict[str, Any]:
    mode = "thresholds" if panel.limits else "palette-classic"
    found: dict[str, Any] = {
        "unit": panel.unit,
        "color": {"mode": mode},
        "thresholds": fields.thresholds(panel.limits),
        "mappings": _mappings(panel),
        "custom": _CUSTOM.get(panel.kind, lambda _: {})(panel),
    }
    optional = {"decimals": panel.decimals, "min": panel.low, "max": panel.high}
    found |= {name: value for name, value in optional.items() if value is not None}
    if panel.kind == "timeseries":
        found["color"] = {"mode": "palette-classic"}
    if panel.name:
        found["displayName"] = panel.name
    if panel.links:
        found["links"] = [{"title": link.title, "url": link.url} for link in panel.links]
    return found


def _mappings(panel: Panel) -> list[dict[str, Any]]:
    if not panel.states:
        return []
    options = {
        value: {"text": text, "color": color, "index": index}
        for index, (value, text, color) in enumerate(panel.states)
    }
    return [{"type": "value", "options": options}]


_FAR_FROM_0 = frozenset({"celsius", "hertz"})

_LEGEND = {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []}


def _reduce(panel: Panel, values: bool) -> dict[str, Any]:
    return {"calcs": [panel.calc], "fields": "", "values": values}


def _timeseries(_: Panel) -> dict[str, Any]:
    return {"legend": _LEGEND, "tooltip": {"mode": "multi", "sort": "desc"}}


def _timeseries_custom(panel: Panel) -> dict[str, Any]:
    return {
        "drawStyle": panel.draw,
        "lineWidth": 1,
        "fillOpacity": 40 if panel.stacked else (80 if panel.draw == "bars" else 8),
        "pointSize": 4,
        "showPoints": "auto",
        # From 0 up, so that noise around a level does not look like a change.
        **({} if panel.unit in _FAR_FROM_0 else {"axisSoftMin": 0}),
        "spanNulls": False,
        "stacking": {"mode": "normal" if panel.stacked else "none", "group": "A"},
        "thresholdsStyle": {"mode": "line" if panel.limits else "off"},
    }


def _stat(panel: Panel) -> dict[str, Any]:
    return {
        "reduceOptions": _reduce(panel, False),
        "colorMode": "value",
        "graphMode": "area",
        "justifyMode": "auto",
        "orientation": "auto",
        "textMode": "auto",
        "wideLayout": True,
    }


def _table(_: Panel) -> dict[str, Any]:
    footer = {"show": False, "reducer": ["sum"], "fields": "", "countRows": False}
    return {"showHeader": True, "cellHeight": "sm", "footer": footer, "frameIndex": 0}


def _heatmap(panel: Panel) -> dict[str, Any]:
    return {
        "calculate": False,
        "cellGap": 1,
        "color": {
            "mode": "scheme",
            "scheme": "Turbo",
            "steps": 64,
            "exponent": 0.5,
            "fill": "dark-orange",
            "reverse": False,
        },
        "exemplars": {"color": "rgba(255,255,255,0.8)"},
        "legend": {"show": True},
        "rowsFrame": {"layout": "auto"},
        "showValue": "never",
        "tooltip": {"mode": "single", "yHistogram": True, "showColorScale": True},
        "filterValues": {"le": 1e-09},
        "yAxis": {"axisPlacement": "left", "unit": panel.unit, "reverse": False},
    }


def _state_timeline(_: Panel) -> dict[str, Any]:
    return {
        "mergeValues": True,
        "showValue": "auto",
        "alignValue": "left",
        "rowHeight": 0.8,
        "legend": _LEGEND,
        "tooltip": {"mode": "single", "sort": "none"},
    }


def _bargauge(panel: Panel) -> dict[str, Any]:
    return {
        "reduceOptions": _reduce(panel, isinstance(panel.queries[0], Sql)),
        "displayMode": "basic",
        "orientation": "horizontal",
        "showUnfilled": True,
        "valueMode": "color",
        "namePlacement": "auto",
        "sizing": "auto",
        "minVizWidth": 8,
        "minVizHeight": 16,
        "maxVizHeight": 300,
        "legend": {**_LEGEND, "showLegend": False},
    }


def _xychart(_: Panel) -> dict[str, Any]:
    return {
        "mapping": "auto",
        "series": [],
        "legend": _LEGEND,
        "tooltip": {"mode": "single", "sort": "none"},
    }


def _xychart_custom(_: Panel) -> dict[str, Any]:
    return {"show": "points", "pointSize": {"fixed": 4}, "fillOpacity": 50}


def _node_graph(_: Panel) -> dict[str, Any]:
    arcs = [{"field": "arc__good", "color": fields.GREEN}, {"field": "arc__bad", "color": "red"}]
    return {"nodes": {"arcs": arcs}, "edges": {}}


_OPTIONS = {
    "timeseries": _timeseries,
    "stat": _stat,
    "table": _table,
    "heatmap": _heatmap,
    "state-timeline": _state_timeline,
    "nodeGraph": _node_graph,
    "traces": lambda _: {},
    "bargauge": _bargauge,
    "xychart": _xychart,
}
_CUSTOM = {
    "timeseries": _timeseries_custom,
    "table": lambda _: {"align": "auto", "cellOptions": {"type": "auto"}, "inspect": False},
    "state-timeline": lambda _: {"fillOpacity": 70, "lineWidth": 0},
    "heatmap": lambda _: {"scaleDistribution": {"type": "linear"}},
    "xychart": _xychart_custom,
}
