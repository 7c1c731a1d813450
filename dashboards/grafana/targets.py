"""Queries of panels: SQL for the ClickHouse data source, PromQL for Prometheus.

grafanalib has no target for ClickHouse, and its Prometheus target speaks of Graphite. The forms
follow grafana/clickhouse-datasource 4 (`src/types/sql.ts`) and Grafana's Prometheus query schema.
"""

from typing import Any, Literal, NamedTuple

CLICKHOUSE = {"type": "grafana-clickhouse-datasource", "uid": "${clickhouse}"}
PROMETHEUS = {"type": "prometheus", "uid": "${prometheus}"}

SqlShape = Literal["timeseries", "table", "traces"]
PromShape = Literal["time_series", "heatmap", "table"]
_FORMATS: dict[SqlShape, int] = {"timeseries": 0, "table": 1, "traces": 3}
_PLUGIN = "4.20.0"
"""The release of the data source whose JSON this is."""


class Sql(NamedTuple):
    """SQL with the data source's macros.

    Attributes:
        text: the statement.
        shape: what becomes of its rows: series by their `time` column, a table, or one trace.
    """

    text: str
    shape: SqlShape = "table"


class Prom(NamedTuple):
    """PromQL.

    Attributes:
        text: the expression.
        legend: name of a series, with labels as `{{label}}`.
        exemplars: whether to draw exemplars, which lead to traces.
        shape: series, a histogram's buckets for a heatmap, or a table of labels and values.
        instant: whether only the newest value counts.
    """

    text: str
    legend: str = ""
    exemplars: bool = False
    shape: PromShape = "time_series"
    instant: bool = False


Query = Sql | Prom


def target(query: Query, ref: str) -> dict[str, Any]:
    """A query as a panel's target.

    Args:
        query: the query.
        ref: its name in the panel, `A` and on.
    """
    return _clickhouse(query, ref) if isinstance(query, Sql) else _prometheus(query, ref)


def source(query: Query) -> dict[str, str]:
    """The data source that answers a query; which one is a board's variable."""
    return CLICKHOUSE if isinstance(query, Sql) else PROMETHEUS


def _clickhouse(query: Sql, ref: str) -> dict[str, Any]:
    return {
        "refId": ref,
        "datasource": CLICKHOUSE,
        "pluginVersion": _PLUGIN,
        "editorType": "sql",
        "rawSql": query.text,
        "format": _FORMATS[query.shape],
        "queryType": query.shape,
    }


def _prometheus(query: Prom, ref: str) -> dict[str, Any]:
    return {
        "refId": ref,
        "datasource": PROMETHEUS,
        "expr": query.text,
        "legendFormat": query.legend,
        "exemplar": query.exemplars,
        "format": query.shape,
        "instant": query.instant,
        "range": not query.instant,
        "editorMode": "code",
    }
