"""The rows of random requests, against a second reading of the same messages."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otel_llm.collector.decoder import COLUMNS, Signal, _native, check, decode
from otel_llm.exporters.clickhouse.engine import Engine
from tests.collector.decoder import reading, strategies
from tests.collector.decoder.stored import Row, in_order, stored

slowly = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def agree(engine: Engine, signal: Signal, requests: list[Any], rows: dict[str, list[Row]]) -> None:
    """Hold what is stored against what ought to be."""
    bodies = [request.SerializeToString() for request in requests]
    expected = {table: in_order(each) for table, each in rows.items() if each}
    assert stored(engine, signal, *bodies) == expected
    checked = [check(signal, body) for body in bodies]
    assert sum(each.items for each in checked) == sum(map(len, rows.values()))
    size = sum(len(block.body) for block in decode(signal, bodies))
    # Beside the rows a block names its columns, and low-cardinality ones have a frame.
    frames = sum(120 * len(COLUMNS[table]) for table in expected)
    assert size <= sum(each.expanded for each in checked) + frames


@slowly
@given(st.lists(strategies.TRACES, max_size=2))
def test_spans(engine: Engine, requests: list[Any]) -> None:
    """Every field of a span, its events, links, status, scope and resource."""
    rows = [row for request in requests for row in reading.trace_rows(request)]
    agree(engine, "traces", requests, {"otel_traces": rows})


@slowly
@given(st.lists(strategies.LOGS, max_size=2))
def test_log_records(engine: Engine, requests: list[Any]) -> None:
    """Every field of a log record, its scope and resource."""
    rows = [row for request in requests for row in reading.log_rows(request)]
    agree(engine, "logs", requests, {"otel_logs": rows})


@slowly
@given(st.lists(strategies.METRICS, max_size=2))
def test_data_points(engine: Engine, requests: list[Any]) -> None:
    """Data points of all five kinds, with exemplars, buckets and quantiles."""
    rows: dict[str, list[Row]] = {}
    for request in requests:
        for table, each in reading.metric_rows(request).items():
            rows.setdefault(table, []).extend(each)
    agree(engine, "metrics", requests, rows)


@pytest.mark.parametrize("table", COLUMNS)
def test_the_columns_are_the_table_s(engine: Engine, table: str) -> None:
    """Names and types are those of the table, in its order: ClickHouse has nothing to convert."""
    asked = f"DESCRIBE TABLE {table}"
    with engine.session() as handle:
        lines = handle.run(asked).decode().splitlines()
    columns = [tuple(line.split("\t")[:3]) for line in lines]
    written = [(name, kind) for name, kind, default in columns if default != "MATERIALIZED"]
    assert list(_native.columns()[table]) == written
