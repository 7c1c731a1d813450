"""Asks a panel's queries, as Grafana would, and keeps what came back."""

import datetime as dt
import math
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import httpx
import msgspec
from clickhouse_connect.driver.exceptions import ClickHouseError

from benchmarks.dashboards import macros

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

CLICKHOUSE = "grafana-clickhouse-datasource"


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What one query gave.

    Attributes:
        columns: names of the columns of a table; empty for PromQL.
        rows: its rows.
        series: PromQL's series: their labels and points of seconds and value.
        took_ms: how long it took, as the client saw it.
        error: why it failed; empty if it did not.
    """

    columns: tuple[str, ...] = ()
    rows: tuple[tuple[Any, ...], ...] = ()
    series: tuple[tuple[dict[str, str], tuple[tuple[float, float], ...]], ...] = ()
    took_ms: float = 0.0
    error: str = ""

    @property
    def has_data(self) -> bool:
        """Whether a reader would see anything: a number that is one, or a row of text alone."""
        if self.series:
            return any(not math.isnan(value) for _, points in self.series for _, value in points)
        values = [value for row in self.rows for value in row]
        if any(_is_number(value) for value in values):
            return True
        return bool(values) and not any(value is None or value != value for value in values)


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return not math.isnan(value)


class Asker:
    """Puts queries to a store and to Prometheus.

    Args:
        store: a client of the store.
        prometheus: base URL.
        looked_at: the time range.

    Attributes:
        chosen: values of the variables.
    """

    def __init__(self, store: "Client", prometheus: str, looked_at: macros.Range) -> None:
        self._store = store
        self._prometheus = httpx.Client(base_url=prometheus, timeout=30)
        self._looked_at = looked_at
        self.chosen: dict[str, str] = {}

    @property
    def span_s(self) -> tuple[float, float]:
        """The time range in seconds of the epoch."""
        return self._looked_at.from_ms / 1e3, self._looked_at.to_ms / 1e3

    def ask(self, target: Mapping[str, Any]) -> Answer:
        """The answer to a target of a panel. A refusal is an answer with its error."""
        began = time.perf_counter()
        try:
            if target["datasource"]["type"] == CLICKHOUSE:
                answer = self.sql(target["rawSql"])
                wrong = _unfit(answer, target["queryType"])
            else:
                answer = self._promql(target["expr"], instant=bool(target["instant"]))
                wrong = ""
        except (ClickHouseError, httpx.HTTPError, KeyError, ValueError) as error:
            return Answer(error=f"{type(error).__name__}: {error}"[:600])
        took = (time.perf_counter() - began) * 1e3
        return msgspec.structs.replace(answer, took_ms=took, error=wrong)

    def sql(self, text: str) -> Answer:
        """The answer of the store."""
        result = self._store.query(macros.sql(text, self._looked_at, self.chosen))
        return Answer(
            columns=tuple(result.column_names),
            rows=tuple(tuple(row) for row in result.result_rows),
        )

    def _promql(self, text: str, *, instant: bool) -> Answer:
        looked = self._looked_at
        query = {"query": macros.promql(text, looked, self.chosen)}
        if instant:
            where, parameters = "/api/v1/query", {**query, "time": str(looked.to_ms / 1e3)}
        else:
            where = "/api/v1/query_range"
            parameters = {**query, **self._bounds(), "step": str(looked.interval_s)}
        told = self._prometheus.get(where, params=parameters).json()
        if told["status"] != "success":
            return Answer(error=told["error"])
        found = told["data"]["result"]
        return Answer(
            series=tuple(
                (each["metric"], tuple((float(at), float(value)) for at, value in _points(each)))
                for each in found
            )
        )

    def exemplars(self, text: str) -> int:
        """How many exemplars Prometheus has for an expression's series."""
        query = macros.promql(text, self._looked_at, self.chosen)
        parameters = {"query": query, **self._bounds()}
        told = self._prometheus.get("/api/v1/query_exemplars", params=parameters).json()
        return sum(len(each["exemplars"]) for each in told.get("data", ()))

    def _bounds(self) -> dict[str, str]:
        looked = self._looked_at
        return {"start": str(looked.from_ms / 1e3), "end": str(looked.to_ms / 1e3)}


def _points(series: Mapping[str, Any]) -> list[Any]:
    return series["values"] if "values" in series else [series["value"]]


def _unfit(answer: Answer, shape: str) -> str:
    """Why Grafana could not draw a table in this shape; empty if it can, or there is no row."""
    if not answer.rows:
        return ""
    if shape == "timeseries":
        if "time" not in answer.columns:
            return "no column `time`"
        times = [row[answer.columns.index("time")] for row in answer.rows]
        if not all(isinstance(moment, dt.datetime) for moment in times):
            return "`time` is no moment"
        return "" if times == sorted(times) else "`time` is not ascending"
    if shape == "traces":
        missing = _TRACE_COLUMNS - set(answer.columns)
        return f"no column {', '.join(sorted(missing))}" if missing else ""
    return ""


_TRACE_COLUMNS = {
    "traceID", "spanID", "parentSpanID", "serviceName", "operationName", "startTime", "duration",
    "tags", "serviceTags",
}  # fmt: skip
"""Names the trace view wants (docs/sources/query-editor.md of the data source)."""
