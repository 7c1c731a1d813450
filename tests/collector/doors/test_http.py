"""OTLP/HTTP: what arrives in `otel_traces`, and how bad requests are answered."""

import errno
import gzip
import json
import math
import os
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import httpx
import pytest
from clickhouse_connect.driver.client import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span, Status
from prometheus_client.parser import text_string_to_metric_families

from otel_llm.collector.doors import REASONS
from otel_llm.collector.stack import Stack
from otel_llm.exporters.clickhouse.client import connect
from tests.waiting import PATIENCE_S, until

HEADERS = {"Content-Type": "application/x-protobuf"}
START_NS = time.time_ns() // 10**9 * 10**9 + 123_456_789


@pytest.fixture(scope="module")
def client(stack: Stack) -> Iterator[Client]:
    """A client of the store."""
    client = connect(stack.run.clickhouse_url, stack.run.token)
    yield client
    client.close()


@pytest.fixture(scope="module")
def otlp(stack: Stack) -> Iterator[httpx.Client]:
    """An HTTP client of the receiver."""
    with httpx.Client(
        base_url=stack.run.otlp_url, headers=HEADERS, trust_env=False, timeout=PATIENCE_S
    ) as client:
        yield client


def export(otlp: httpx.Client, body: bytes, **headers: str) -> httpx.Response:
    """Send one request."""
    return otlp.post("/v1/traces", content=body, headers=headers, timeout=60)


def request_of(*spans: Span, resource: dict[str, AnyValue] | None = None) -> bytes:
    """A serialized export request of one resource and scope."""
    group = ResourceSpans()
    group.resource.attributes.extend(pairs(resource or {"service.name": text("svc")}))
    scope = group.scope_spans.add()
    scope.scope.name, scope.scope.version = "scope", "1.2"
    scope.spans.extend(spans)
    return ExportTraceServiceRequest(resource_spans=[group]).SerializeToString()


def span_of(**fields: Any) -> Span:  # noqa: ANN401  as Span takes them
    """A span with random ids, overridden by `fields`."""
    given = {
        "trace_id": os.urandom(16),
        "span_id": os.urandom(8),
        "name": "span",
        "start_time_unix_nano": START_NS,
        "end_time_unix_nano": START_NS + 5,
    }
    return Span(**{**given, **fields})


def text(value: str) -> AnyValue:
    """A string value."""
    return AnyValue(string_value=value)


def pairs(values: dict[str, AnyValue]) -> list[KeyValue]:
    """Attributes."""
    return [KeyValue(key=key, value=value) for key, value in values.items()]


def message_of(status: bytes) -> str:
    """The message of a google.rpc.Status: field 2, after the code in field 1."""
    assert (status[0], status[2]) == (0x08, 0x12)
    size = status[3] if status[3] < 0x80 else (status[3] & 0x7F) | status[4] << 7
    return status[-size:].decode()


def row_of(client: Client, span: Span, columns: str = "*") -> dict[str, Any]:
    """The one row of `otel_traces` that a span became."""
    sql = f"SELECT {columns} FROM otel_traces WHERE SpanId = {{id:String}}"
    found: list[dict[str, Any]] = []

    def there() -> bool:
        query = client.query(sql, parameters={"id": span.span_id.hex()})
        found[:] = list(query.named_results())
        return bool(found)

    until(there)
    assert len(found) == 1
    return found[0]


def settled(stack: Stack) -> None:
    """Wait until everything that was acknowledged is stored."""
    until(lambda: stack.ingest.spool.size == 0)


def test_a_span_becomes_the_row_the_collector_writes(otlp: httpx.Client, client: Client) -> None:
    """Every field of span, resource, scope, event and link is in its column."""
    span = span_of(
        parent_span_id=os.urandom(8),
        trace_state="a=b",
        kind=Span.SPAN_KIND_SERVER,
        attributes=pairs({"k": text("v")}),
        status=Status(message="bad", code=Status.STATUS_CODE_ERROR),
        events=[
            Span.Event(time_unix_nano=START_NS, name="e", attributes=pairs({"ek": text("ev")}))
        ],
        links=[
            Span.Link(
                trace_id=b"\1" * 16, span_id=b"\2" * 8, trace_state="x=y",
                attributes=pairs({"lk": text("lv")}),
            )
        ],
    )  # fmt: skip
    answer = export(otlp, request_of(span))
    assert answer.status_code == 200
    assert ExportTraceServiceResponse.FromString(answer.content) == ExportTraceServiceResponse()
    nanoseconds = "toUnixTimestamp64Nano(Timestamp) AS ns, *"
    start = datetime.fromtimestamp(START_NS // 10**9, tz=timezone.utc).replace(
        microsecond=123456, tzinfo=None
    )
    assert row_of(client, span, nanoseconds) == {
        "ns": START_NS,
        "Timestamp": start,
        "TraceId": span.trace_id.hex(),
        "SpanId": span.span_id.hex(),
        "ParentSpanId": span.parent_span_id.hex(),
        "TraceState": "a=b",
        "SpanName": "span",
        "SpanKind": "Server",
        "ServiceName": "svc",
        "ResourceAttributes": {"service.name": "svc"},
        "ScopeName": "scope",
        "ScopeVersion": "1.2",
        "SpanAttributes": {"k": "v"},
        "Duration": 5,
        "StatusCode": "Error",
        "StatusMessage": "bad",
        "Events.Timestamp": [start],
        "Events.Name": ["e"],
        "Events.Attributes": [{"ek": "ev"}],
        "Links.TraceId": ["01" * 16],
        "Links.SpanId": ["02" * 8],
        "Links.TraceState": ["x=y"],
        "Links.Attributes": [{"lk": "lv"}],
    }


def test_a_bare_span_has_the_collector_s_words_for_nothing(
    otlp: httpx.Client, client: Client
) -> None:
    """Absent fields become the empty values that the collector writes."""
    span = span_of(name="", end_time_unix_nano=START_NS - 9, trace_id=b"\0" * 16)
    export(otlp, request_of(span, resource={"other": text("x")})).raise_for_status()
    row = row_of(client, span)
    assert (row["TraceId"], row["ParentSpanId"], row["SpanName"]) == ("", "", "")
    assert (row["SpanKind"], row["StatusCode"]) == ("Unspecified", "Unset")
    assert (row["ServiceName"], row["Duration"]) == ("", 0)
    assert (row["SpanAttributes"], row["Events.Name"], row["Links.TraceId"]) == ({}, [], [])


def nested() -> AnyValue:
    """A list of a map of a list of a map."""
    value = AnyValue()
    inner = value.array_value.values.add().kvlist_value.values.add(key="a").value
    inner.array_value.values.add().int_value = 1
    value.array_value.values.add().bool_value = True
    value.array_value.values.add()
    return value


def doubles(*numbers: float) -> AnyValue:
    """A list of doubles."""
    value = AnyValue()
    value.array_value.values.extend(AnyValue(double_value=number) for number in numbers)
    return value


def texts(*each: str) -> AnyValue:
    """A list of strings."""
    value = AnyValue()
    value.array_value.values.extend(map(text, each))
    return value


VALUES: dict[str, tuple[AnyValue, str]] = {
    "empty string": (text(""), ""),
    "string": (text('tab\t"quote" \\ \' ünï'), 'tab\t"quote" \\ \' ünï'),
    "true": (AnyValue(bool_value=True), "true"),
    "false": (AnyValue(bool_value=False), "false"),
    "zero": (AnyValue(int_value=0), "0"),
    "int": (AnyValue(int_value=-(2**63)), str(-(2**63))),
    "double": (AnyValue(double_value=0.1), "0.1"),
    "whole double": (AnyValue(double_value=3.0), "3"),
    "zero double": (AnyValue(double_value=0.0), "0"),
    "large double": (AnyValue(double_value=1e21), "1e+21"),
    "small double": (AnyValue(double_value=1e-7), "1e-7"),
    "double at an exponent of Python's": (
        AnyValue(double_value=1.2345678901234568e-05),
        "0.000012345678901234568",
    ),
    "large whole double": (AnyValue(double_value=1.2345678901234567e20), "123456789012345670000"),
    "negative zero": (AnyValue(double_value=-0.0), "-0"),
    "no number": (AnyValue(double_value=math.nan), "NaN"),
    "infinite": (AnyValue(double_value=math.inf), "Infinity"),
    "infinitely small": (AnyValue(double_value=-math.inf), "-Infinity"),
    "doubles in a list": (
        doubles(1.0, 0.1, 1e21, 1e-7, 1e20, -0.0),
        "[1,0.1,1e+21,1e-7,100000000000000000000,-0]",
    ),
    "no number in a list": (doubles(1.0, math.nan), ""),
    "infinite in a list": (doubles(math.inf), ""),
    "separators in a list": (texts("a\u2028b\u2029", "<b>&"), '["a\\u2028b\\u2029","<b>&"]'),
    "bytes": (AnyValue(bytes_value=b"\x00\xff"), "AP8="),
    "empty bytes": (AnyValue(bytes_value=b""), ""),
    "nothing": (AnyValue(), ""),
    "nested": (nested(), '[{"a":[1]},true,null]'),
}


def test_attribute_values_are_text_as_the_collector_writes_it(
    otlp: httpx.Client, client: Client
) -> None:
    """'' and 0 and false and absent differ; lists and maps are JSON; bytes are base64."""
    span = span_of(attributes=pairs({name: value for name, (value, _) in VALUES.items()}))
    export(otlp, request_of(span)).raise_for_status()
    expected = {name: written for name, (_, written) in VALUES.items()}
    assert row_of(client, span)["SpanAttributes"] == expected


def test_lists_and_maps_are_json(otlp: httpx.Client, client: Client) -> None:
    """Empty ones differ from absent ones, keys and text are escaped, at any depth."""
    empty_list, empty_map, deep, odd = AnyValue(), AnyValue(), AnyValue(), AnyValue()
    empty_list.array_value.SetInParent()
    empty_map.kvlist_value.SetInParent()
    odd.kvlist_value.values.add(key='a"\n').value.string_value = "b\\\u2028"
    odd.kvlist_value.values.add(key="f").value.double_value = 2.0
    odd.kvlist_value.values.add(key="raw").value.bytes_value = b"\xff"
    node = deep
    for _ in range(6):
        node = node.array_value.values.add()
    node.int_value = 1
    values = {"list": empty_list, "map": empty_map, "odd": odd, "deep": deep}
    span = span_of(attributes=pairs(values))
    export(otlp, request_of(span)).raise_for_status()
    row = row_of(client, span)["SpanAttributes"]
    assert (row["list"], row["map"]) == ("[]", "{}")
    assert json.loads(row["odd"]) == {'a"\n': "b\\\u2028", "f": 2, "raw": "/w=="}
    assert json.loads(row["deep"]) == [[[[[[1]]]]]]


LEAVES = st.one_of(
    st.text(max_size=5).map(text),
    st.booleans().map(lambda v: AnyValue(bool_value=v)),
    st.integers(-(2**63), 2**63 - 1).map(lambda v: AnyValue(int_value=v)),
    st.floats(allow_nan=False, allow_infinity=False).map(lambda v: AnyValue(double_value=v)),
)


def plain(value: AnyValue) -> Any:  # noqa: ANN401  whatever it holds
    """The Python value of an AnyValue."""
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [plain(each) for each in value.array_value.values]
    if kind == "kvlist_value":
        return {pair.key: plain(pair.value) for pair in value.kvlist_value.values}
    return getattr(value, str(kind))


def same(read: Any, sent: Any) -> bool:  # noqa: ANN401  whatever JSON holds
    """Equality in which a double may be written without a point, in its shortest digits."""
    if isinstance(sent, list):
        return len(read) == len(sent) and all(map(same, read, sent))
    if isinstance(sent, dict):
        return read.keys() == sent.keys() and all(same(read[key], sent[key]) for key in sent)
    return bool((float(read) if isinstance(sent, float) else read) == sent)


def lists_of(values: list[AnyValue]) -> AnyValue:
    """An AnyValue that is a list."""
    made = AnyValue()
    made.array_value.values.extend(values)
    made.array_value.SetInParent()
    return made


def map_of(values: dict[str, AnyValue]) -> AnyValue:
    """An AnyValue that is a map."""
    made = AnyValue()
    made.kvlist_value.values.extend(pairs(values))
    made.kvlist_value.SetInParent()
    return made


FLAT = LEAVES | st.lists(LEAVES, max_size=3).map(lists_of)
DEEP = st.one_of(
    LEAVES,
    st.lists(FLAT, max_size=3).map(lists_of),
    st.dictionaries(st.text(max_size=4), FLAT, max_size=3).map(map_of),
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.dictionaries(st.text(max_size=5), DEEP, max_size=6))
def test_any_attributes_come_back(
    otlp: httpx.Client, client: Client, values: dict[str, AnyValue]
) -> None:
    """What is sent can be read back: strings as they are, the rest by its JSON text."""
    span = span_of(attributes=pairs(values))
    export(otlp, request_of(span)).raise_for_status()
    row = row_of(client, span)["SpanAttributes"]
    assert row.keys() == values.keys()
    for key, value in values.items():
        sent = plain(value)
        assert same(row[key] if isinstance(sent, str) else json.loads(row[key]), sent)


def test_a_request_sent_twice_is_stored_once(
    otlp: httpx.Client, client: Client, stack: Stack
) -> None:
    """The identical body again answers 200 and changes neither the table nor its view."""
    span = span_of()
    for _ in range(3):
        export(otlp, request_of(span)).raise_for_status()
    row_of(client, span)
    settled(stack)
    row_of(client, span)
    given = {"id": span.trace_id.hex()}
    sql = "SELECT count() FROM otel_traces_trace_id_ts WHERE TraceId = {id:String}"
    assert client.command(sql, parameters=given) == 1


def test_a_request_is_known_by_its_bytes(otlp: httpx.Client, client: Client, stack: Stack) -> None:
    """Another body is another request, even where it gives the same rows.

    The rows' own hash would drop it: this is what tells that the body's hash is used.
    """
    body = request_of(span_of(name="by its bytes"))
    unknown_field = b"\xf8\x01\x01"
    for sent in (body, body, body + unknown_field, body + unknown_field):
        export(otlp, sent).raise_for_status()
    settled(stack)
    sql = "SELECT count() FROM otel_traces WHERE SpanName = 'by its bytes'"
    assert client.command(sql) == 2


def test_gzip_is_read(otlp: httpx.Client, client: Client) -> None:
    """Exporters compress by default."""
    span = span_of()
    answer = export(otlp, gzip.compress(request_of(span)), **{"Content-Encoding": "gzip"})
    assert answer.status_code == 200
    row_of(client, span)


def test_an_empty_request_is_fine(otlp: httpx.Client) -> None:
    """No spans is not an error."""
    assert export(otlp, b"").status_code == 200


GOOD = request_of(span_of(name="whole"))


@pytest.mark.parametrize(
    ("body", "headers", "status", "reason"),
    [
        (b"garbage", {}, 400, "malformed"),
        (b"\xff" * 100, {}, 400, "malformed"),
        (GOOD[:-3], {}, 400, "malformed"),
        (request_of(span_of(trace_id=b"short")), {}, 400, "malformed"),
        (request_of(span_of(span_id=b"much too long")), {}, 400, "malformed"),
        (request_of(span_of(parent_span_id=b"1")), {}, 400, "malformed"),
        (request_of(span_of(start_time_unix_nano=2**64 - 1)), {}, 400, "malformed"),
        (GOOD, {"Content-Encoding": "gzip"}, 400, "malformed"),
        (GOOD, {"Content-Encoding": "br"}, 400, "malformed"),
        (b"x" * ((1 << 20) + 1), {}, 413, "oversize"),
        (gzip.compress(b"x" * (8 << 20)), {"Content-Encoding": "gzip"}, 413, "oversize"),
        (b"{}", {"Content-Type": "text/plain"}, 415, "media_type"),
        (GOOD, {"Host": "evil.example"}, 403, "forbidden"),
        (GOOD, {"Origin": "http://evil.example"}, 403, "forbidden"),
    ],
    ids=[
        "text", "ones", "cut", "trace id", "span id", "parent", "time", "not gzip",
        "brotli", "large", "bomb", "text/plain", "host", "origin",
    ],
)  # fmt: skip
def test_bad_requests_are_answered_and_counted(
    otlp: httpx.Client,
    stack: Stack,
    client: Client,
    body: bytes,
    headers: dict[str, str],
    status: int,
    reason: str,
) -> None:
    """Each gets its status, a plain message and a count; nothing is stored."""
    before = stack.ingest.intake.refused[reason]
    rows = client.command("SELECT count() FROM otel_traces")
    answer = export(otlp, body, **headers)
    assert answer.status_code == status
    assert len(message_of(answer.content)) > 10
    assert stack.ingest.intake.refused[reason] == before + 1
    assert client.command("SELECT count() FROM otel_traces") == rows


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.binary(max_size=200) | st.binary(max_size=20).map(lambda tail: GOOD[:-20] + tail))
def test_no_bytes_break_the_receiver(otlp: httpx.Client, body: bytes) -> None:
    """Any bytes are either stored or refused as malformed, never an error of the server."""
    assert export(otlp, body).status_code in (200, 400)


def test_a_disk_that_fails_is_worth_another_try(
    otlp: httpx.Client, stack: Stack, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503 with Retry-After while the spool cannot be written; later the same body is stored."""

    def full(_file: int) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    span = span_of()
    before = stack.ingest.intake.refused["spool_failed"]
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", full)
        answer = export(otlp, request_of(span))
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert stack.ingest.intake.refused["spool_failed"] == before + 1
    assert export(otlp, request_of(span)).status_code == 200
    row_of(client, span)


def test_what_was_taken_is_counted(otlp: httpx.Client, stack: Stack) -> None:
    """Requests, bytes and spans that were acknowledged are known."""
    accepted = stack.ingest.intake.accepted
    before = dict(accepted)
    body = request_of(span_of(), span_of())
    export(otlp, body)
    grown = {name: accepted["traces", name] - before["traces", name] for _, name in before}
    assert grown == {"requests": 1, "bytes": len(body), "items": 2}


def test_the_sdk_s_exporter_is_understood(stack: Stack, client: Client) -> None:
    """Spans of the OpenTelemetry SDK's own exporter arrive."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor

    provider = TracerProvider(resource=Resource({"service.name": "sdk"}))
    exporter = OTLPSpanExporter(f"{stack.run.otlp_url}/v1/traces")
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with provider.get_tracer("t").start_as_current_span("from sdk") as span:
        span.set_attribute("reasons", ["stop", "length"])
        span.add_event("first token", {"n": 1})
    provider.shutdown()
    settled(stack)
    sql = "SELECT SpanAttributes, `Events.Name` FROM otel_traces WHERE ServiceName = 'sdk'"
    assert client.query(sql).result_rows == [({"reasons": '["stop","length"]'}, ["first token"])]


def test_losses_are_on_the_metrics_page(otlp: httpx.Client) -> None:
    """Every reason is shown, and a refused request raises its own."""

    def shown() -> dict[str, float]:
        page = otlp.get("/metrics").text
        return {
            sample.labels.get("reason", sample.name): sample.value
            for family in text_string_to_metric_families(page)
            for sample in family.samples
        }

    before = shown()
    assert export(otlp, b"garbage").status_code == 400
    after = shown()
    assert set(REASONS) <= set(before)
    assert {name for name in after if after[name] != before[name]} == {"malformed"}
