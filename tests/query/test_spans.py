"""Spans of a trace."""

from typing import TYPE_CHECKING

from otel_llm.query.spans import trace_spans
from tests.query.sample import trace_id

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client


def test_spans_of_a_trace_in_order(store: "Client") -> None:
    """Spans of every service, whenever they began, and nobody else's."""
    for second, name in ((5, "late"), (0, "early"), (86_400, "next day")):
        at = f"fromUnixTimestamp64Nano(1790000000999999999 + {second} * 1000000000)"
        store.command(
            "INSERT INTO otel_traces (Timestamp, TraceId, SpanId, SpanName, ServiceName, Duration,"
            " SpanAttributes, `Events.Timestamp`, `Events.Name`, `Events.Attributes`)"
            f" SELECT {at}, 'of-three', '{second}', '{name}', 'web', 1500000000, map('a', 'b'),"
            f" [{at}], ['seen'], [map()]"
        )
    spans = trace_spans(store, "of-three")
    assert [span.name for span in spans] == ["early", "late", "next day"]
    assert spans[0].start_ns == 1_790_000_000_999_999_999
    assert (spans[0].duration_s, spans[0].attributes) == (1.5, {"a": "b"})
    assert spans[0].event_names == ["seen"]


def test_a_trace_without_spans(store: "Client") -> None:
    """Nothing is stored of it, or it is hostile: an empty list."""
    assert trace_spans(store, "no-such") == []
    assert trace_spans(store, "'; DROP TABLE otel_traces --") == []
    assert len(trace_spans(store, trace_id("direct"))) == 1
