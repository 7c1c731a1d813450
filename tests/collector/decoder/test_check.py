"""What `check` says of a request before anything is made of it."""

import time
import tracemalloc

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from otel_llm.collector.decoder import EVER, MalformedError, Signal, Window, check, decode
from tests.collector.decoder.memory import grown
from tests.collector.decoder.messages import field, nested, pairs, request_of, span_of, text

MIB = 1 << 20


@pytest.mark.parametrize("where", ["resource", "scope name", "scope version", "row"])
def test_what_spans_repeat_is_counted_before_it_is_made(where: str) -> None:
    """Resource, scope and the row itself count once a span; no memory of that size is taken."""
    request = request_of(*(Span() for _ in range(20_000)), k=text("x"))
    group = request.resource_spans[0]
    if where == "resource":
        group.resource.attributes[0].value.string_value = "x" * 5000
    elif where == "scope name":
        group.scope_spans[0].scope.name = "x" * 5000
    elif where == "scope version":
        group.scope_spans[0].scope.version = "x" * 5000
    body = request.SerializeToString()
    tracemalloc.start()
    try:
        expanded = check("traces", body).expanded
        assert tracemalloc.get_traced_memory()[1] < MIB
    finally:
        tracemalloc.stop()
    assert expanded > (4 * MIB if where == "row" else 20_000 * 5000)
    assert expanded >= len(decode("traces", [body])[0].body)


@pytest.mark.parametrize(
    "fields",
    [(2, 2, 1), (9, 2, 2, 1), (11, 2, 2, 1), (13, 2, 2, 1), (1, 1, 1)],
    ids=["spans", "attributes", "events", "links", "resource attributes"],
)
def test_empty_messages_count_as_what_they_become(fields: tuple[int, ...]) -> None:
    """Two bytes each on the wire, many times that in memory."""
    first, *outer = fields
    body = bytes([first << 3 | 2, 0]) * MIB
    for number in outer:
        body = field(number, body)
    assert len(body) < 3 * MIB
    assert check("traces", body).expanded > 16 * MIB


def test_an_honest_body_does_not_grow_much() -> None:
    """Spans of a usual size take less than four times their body."""
    attributes = pairs({f"some.attribute.{i}": text("some value") for i in range(15)})
    spans = [span_of(attributes=attributes) for _ in range(1000)]
    body = request_of(*spans, **{f"resource.{i}": text("v") for i in range(5)}).SerializeToString()
    checked = check("traces", body)
    assert (checked.items, checked.rejected) == (1000, 0)
    assert len(decode("traces", [body])[0].body) <= checked.expanded < 4 * len(body)


@pytest.mark.parametrize(
    "fields",
    [
        {"trace_id": b"short"},
        {"span_id": b"much too long"},
        {"parent_span_id": b"1"},
        {"start_time_unix_nano": 2**63},
        {"end_time_unix_nano": 2**64 - 1},
        {"events": [Span.Event(time_unix_nano=2**63)]},
        {"links": [Span.Link(trace_id=b"1")]},
        {"links": [Span.Link(span_id=b"1")]},
    ],
    ids=str,
)
def test_a_span_that_cannot_be_is_left_out(fields: dict[str, object]) -> None:
    """It is counted as rejected; the spans beside it are kept."""
    good = span_of(name="good")
    body = request_of(good, span_of(**fields), good).SerializeToString()
    checked = check("traces", body)
    assert (checked.items, checked.rejected) == (3, 1)
    [block] = decode("traces", [body])
    assert block.rows == 2


def test_a_request_of_rejected_spans_gives_no_block() -> None:
    """There is no block without rows."""
    body = request_of(span_of(trace_id=b"short")).SerializeToString()
    assert decode("traces", [body]) == []
    assert decode("traces", []) == []


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (b"garbage", "ExportTraceServiceRequest"),
        (b"\xff" * 100, "ExportTraceServiceRequest"),
        (b"\x0a", "ExportTraceServiceRequest"),
        (b"\x08\x01", "ExportTraceServiceRequest"),
        (b"\x02\x00", "ExportTraceServiceRequest"),
        (field(1, field(2, field(2, b"\x0d\0\0\0\0"))), "Span.trace_id"),
        (field(1, field(2, field(2, b"\x39\0\0\0"))), "Span"),
        (field(1, field(2, field(2, field(9, b"\x0a\x05k")))), "KeyValue"),
    ],
)
def test_the_place_of_an_error_is_told(body: bytes, where: str) -> None:
    """By the name that OTLP has for it; decoding says the same."""
    for walk in (lambda: check("traces", body), lambda: decode("traces", [body])):
        with pytest.raises(MalformedError) as caught:
            walk()
        assert caught.value.where == where
        assert str(caught.value) == f"{where}: {caught.value.why}"


@pytest.mark.parametrize("depth", [64, 65])
def test_nesting_has_an_end(depth: int) -> None:
    """64 lists in each other are taken, 65 are not."""
    body = field(1, field(2, field(2, field(9, nested(depth)))))
    if depth == 64:
        check("traces", body)
        return
    with pytest.raises(MalformedError, match="nested too deeply"):
        check("traces", body)


def test_a_request_cut_anywhere_is_refused_or_read_to_there() -> None:
    """No end of a body breaks the walk, and decoding agrees with checking."""
    attributes = [*pairs({"a": text("b")}), KeyValue.FromString(nested(3))]
    events = [Span.Event(name="e", attributes=attributes)]
    links = [Span.Link(trace_id=b"\1" * 16, attributes=attributes)]
    span = span_of(attributes=attributes, events=events, links=links, trace_state="a=b")
    body = request_of(span, k=text("v")).SerializeToString()
    for size in range(1, len(body)):
        cut = bytes(body[:size])
        with pytest.raises(MalformedError):
            check("traces", cut)
        with pytest.raises(MalformedError):
            decode("traces", [cut])
    assert check("traces", b"") == (0, 0, 0, 0)


def test_what_a_resource_repeats_is_not_paid_for_by_spans_that_are_left_out() -> None:
    """20,000 attributes beside 100,000 spans with wrong ids are decoded as quickly as checked."""
    spans = b"\x12\x03\x0a\x01\x00" * 100_000
    body = field(1, field(1, b"\x0a\x03\x0a\x01a" * 20_000) + field(2, spans))
    began = time.process_time()
    assert check("traces", body).rejected == 100_000
    checked = time.process_time()
    assert decode("traces", [body]) == []
    # Once for each span it was 800 times as long.
    assert time.process_time() - checked < 20 * (checked - began) + 0.2


@pytest.mark.parametrize(
    ("signal", "item"),
    [
        ("traces", b"\x12\x00"),
        ("traces", b"\x12\x03\x0a\x01\x00"),
        ("logs", b"\x12\x00"),
        ("logs", b"\x12\x03\x4a\x01\x00"),
        ("metrics", b"\x12\x00"),
    ],
    ids=["spans", "rejected spans", "records", "rejected records", "metrics without points"],
)
def test_decoding_takes_no_more_memory_than_was_said(signal: Signal, item: bytes) -> None:
    """Three times what was counted and the body, whether or not anything of it is kept."""
    body = field(1, field(2, item * 400_000))
    expanded = check(signal, body).expanded
    assert grown(f"decode({signal!r}, [body])", body) <= 3 * (expanded + len(body))


def _logs(time_ns: int, observed_ns: int) -> bytes:
    request = ExportLogsServiceRequest()
    records = request.resource_logs.add().scope_logs.add().log_records
    records.add(time_unix_nano=time_ns, observed_time_unix_nano=observed_ns)
    return request.SerializeToString()


def _metrics(kind: str, time_ns: int) -> bytes:
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add()
    getattr(metric, kind).data_points.add(time_unix_nano=time_ns)
    return request.SerializeToString()


def _timed(time_ns: int) -> list[tuple[Signal, bytes]]:
    kinds = ("gauge", "sum", "histogram", "exponential_histogram", "summary")
    spans = request_of(span_of(start_time_unix_nano=time_ns, end_time_unix_nano=9))
    return [
        ("traces", spans.SerializeToString()),
        ("logs", _logs(time_ns, 0)),
        ("logs", _logs(time_ns, 10**6)),
        ("logs", _logs(0, time_ns)),
        *(("metrics", _metrics(kind, time_ns)) for kind in kinds),
    ]


@pytest.mark.parametrize(
    ("time_ns", "outside"),
    [(99, 1), (100, 0), (150, 0), (200, 0), (201, 1), (0, 1), (2**63 - 1, 1)],
)
def test_items_outside_of_the_window_are_left_out(time_ns: int, outside: int) -> None:
    """By a span's start, a record's time or when it was observed, and a data point's time."""
    window = Window(100, 200)
    for signal, body in _timed(time_ns):
        checked = check(signal, body, window)
        assert (checked.items, checked.rejected, checked.outside) == (1, outside, outside)
        assert len(decode(signal, [body], [window])) == 1 - outside
        assert check(signal, body) == checked._replace(
            rejected=0, outside=0, expanded=check(signal, body).expanded
        )
        assert len(decode(signal, [body])) == 1


def test_what_cannot_be_is_not_called_outside() -> None:
    """A sender with a broken id is told of that, whatever its time is."""
    spans = [span_of(start_time_unix_nano=1, trace_id=b"1"), span_of(start_time_unix_nano=2**63)]
    checked = check("traces", request_of(*spans).SerializeToString(), Window(100, 200))
    assert (checked.rejected, checked.outside) == (2, 0)


def test_each_body_has_its_own_window() -> None:
    """Requests that came at different times are decoded together as they were checked."""
    body = request_of(*(span_of(start_time_unix_nano=at) for at in (1, 2, 3))).SerializeToString()
    windows = [Window(-5, 1), Window(4, 9), Window(2, 3), EVER]
    [block] = decode("traces", [body] * 4, windows)
    assert block.rows == 1 + 0 + 2 + 3
    assert decode("traces", [body] * 4, windows) == [block]
    [start] = decode("traces", [body], windows[:1])
    assert start == decode("traces", [body] * 2, windows[:2])[0]
    with pytest.raises(ValueError, match="as many windows"):
        decode("traces", [body], windows)
