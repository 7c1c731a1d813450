"""Spans come as their table is sorted, so that ClickHouse has nothing to sort."""

from contextlib import closing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from otel_llm.collector.decoder import COLUMNS, decode
from otel_llm.exporters.clickhouse.engine import Engine
from tests.collector.decoder.messages import START_NS, request_of, span_of, text

NAMES = ["b", "a", "", "ab", "ü", "Z"]
# Apart in their first, middle and last bytes only; one is zero, one is not there.
IDS = [
    b"\1" * 16,
    b"\xff" + b"\1" * 15,
    b"\1" * 8 + b"\2" * 8,
    b"\1" * 15 + b"\xfe",
    bytes(16),
    b"",
]


@pytest.fixture(scope="module")
def engine_as_sent(engine: Engine) -> Engine:
    """An engine with a table `as_sent` that keeps spans as they come."""
    with closing(engine.client()) as client:
        client.command(
            "CREATE TABLE as_sent AS otel_traces "
            "ENGINE = MergeTree PARTITION BY tuple() ORDER BY tuple()"
        )
    return engine


def spans() -> st.SearchStrategy[Span]:
    """Spans of few traces and names, within a quarter of an hour and years apart."""
    return st.builds(
        lambda name, trace_id, offset_ns: span_of(
            name=name, trace_id=trace_id, start_time_unix_nano=START_NS + offset_ns
        ),
        st.sampled_from(NAMES),
        st.sampled_from(IDS) | st.binary(min_size=16, max_size=16),
        st.integers(0, 900 * 10**9) | st.integers(0, 2 * 10**18) | st.sampled_from([0, 1]),
    )


def is_in_order(engine: Engine, bodies: list[bytes]) -> tuple[int, bool]:
    """How many rows the bodies make, and whether the key of `otel_traces` never falls in them."""
    [block] = decode("traces", bodies)
    columns = ", ".join(f"`{column}`" for column in COLUMNS[block.table])
    asked = "SELECT sorting_key FROM system.tables WHERE name = 'otel_traces'"
    with engine.session() as handle:
        key = handle.run(f"{asked} AND database = currentDatabase()", "TSVRaw").decode().strip()
        handle.run("TRUNCATE TABLE as_sent")
        handle.insert(f"INSERT INTO as_sent ({columns})", "Native", block.body)
        keys = f"SELECT groupArray(({key})) AS keys FROM as_sent"
        compared = f"SELECT length(keys), keys = arraySort(keys) FROM ({keys})"
        rows, sorted_ = handle.run(f"{compared} SETTINGS max_threads = 1", "TSV").split()
    return int(rows), sorted_ == b"1"


@settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.dictionaries(st.sampled_from(NAMES), st.lists(spans(), min_size=1), min_size=1))
def test_spans_come_in_the_order_of_the_table_s_key(
    engine_as_sent: Engine, by_service: dict[str, list[Span]]
) -> None:
    """The key is asked of ClickHouse, and its values too: whoever changes it is told here."""
    bodies = [
        request_of(*sent, **{"service.name": text(name)}).SerializeToString()
        for name, sent in by_service.items()
    ]
    assert is_in_order(engine_as_sent, bodies) == (sum(map(len, by_service.values())), True)


def test_more_services_than_a_number_tells_apart(engine_as_sent: Engine) -> None:
    """Their order is right all the same."""
    bodies = [
        request_of(
            span_of(trace_id=bytes([index % 7] * 16)),
            span_of(start_time_unix_nano=START_NS - index),
            **{"service.name": text(f"service {index * 7919 % 5003}")},
        ).SerializeToString()
        for index in range(5003)
    ]
    assert is_in_order(engine_as_sent, bodies) == (2 * 5003, True)


def test_spans_alike_keep_the_order_they_came_in() -> None:
    """So the same bodies give the same block."""
    bodies = [
        request_of(*(span_of(name=f"{body:02}.{index:02}") for index in range(40)))
        for body in range(20)
    ]
    [block] = decode("traces", [body.SerializeToString() for body in bodies])
    names = [f"{body:02}.{index:02}".encode() for body in range(20) for index in range(40)]
    found = [block.body.index(name) for name in names]
    assert found == sorted(found)
