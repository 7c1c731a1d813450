"""Rows and texts that the collector's own tests expect of it, against ours.

Spans and logs are those of the integration tests of `clickhouseexporter` (collector-contrib,
exporter_traces_integration_test.go and exporter_logs_integration_test.go), the texts of attributes
those of `TestValueAsString` (collector, pdata/pcommon/value_test.go), of 2026.
"""

import math

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans, Span, Status

from otel_llm.exporters.clickhouse.engine import Engine
from tests.collector.decoder.messages import pairs, request_of, span_of, text
from tests.collector.decoder.stored import stored
from tests.collector.decoder.test_values import listed, mapped

MOMENT = 1_703_498_029
MINUTE_NS = 60_000_000_000
RESOURCE_SCHEMA = "https://opentelemetry.io/schemas/1.4.0"
SCOPE_SCHEMA = "https://opentelemetry.io/schemas/1.7.0"
SHOWN = f"{MOMENT}.000000000"
RESOURCE = Resource(
    attributes=pairs({"service.name": text("test-service")}), dropped_attributes_count=10
)
SCOPE = InstrumentationScope(
    name="io.opentelemetry.contrib.clickhouse", version="1.0.0",
    attributes=pairs({"lib": text("clickhouse")}), dropped_attributes_count=20,
)  # fmt: skip


def identity(size: int, *begin: int) -> bytes:
    """An id that begins with some bytes, and goes on with zeros."""
    return bytes(begin).ljust(size, b"\0")


def test_a_span_is_the_row_that_the_exporter_is_tested_to_write(engine: Engine) -> None:
    """Schema URLs, scope attributes and dropped counts have no column; the rest is in its place."""
    moment = MOMENT * 10**9
    span = Span(
        trace_id=identity(16, 1, 2, 3), span_id=identity(8, 1, 2, 3), trace_state="trace state",
        parent_span_id=identity(8, 1, 2, 4), name="call db", kind=Span.SPAN_KIND_INTERNAL,
        start_time_unix_nano=moment, end_time_unix_nano=moment + MINUTE_NS,
        attributes=pairs({"service.name": text("v")}),
        status=Status(message="error", code=Status.STATUS_CODE_ERROR),
        events=[
            Span.Event(
                name="event1", time_unix_nano=moment, attributes=pairs({"level": text("info")})
            )
        ],
        links=[
            Span.Link(
                trace_id=identity(16, 1, 2, 5), span_id=identity(8, 1, 2, 5), trace_state="error",
                attributes=pairs({"k": text("v")}),
            )
        ],
    )  # fmt: skip
    request = request_of()
    group = request.resource_spans[0]
    group.schema_url = RESOURCE_SCHEMA
    group.resource.CopyFrom(RESOURCE)
    group.scope_spans[0].CopyFrom(ScopeSpans(scope=SCOPE, schema_url=SCOPE_SCHEMA, spans=[span]))
    [row] = stored(engine, "traces", request.SerializeToString())["otel_traces"]
    assert row == {
        "Timestamp": SHOWN,
        "TraceId": "01020300000000000000000000000000",
        "SpanId": "0102030000000000",
        "ParentSpanId": "0102040000000000",
        "TraceState": "trace state",
        "SpanName": "call db",
        "SpanKind": "Internal",
        "ServiceName": "test-service",
        "ResourceAttributes": {"service.name": "test-service"},
        "ScopeName": "io.opentelemetry.contrib.clickhouse",
        "ScopeVersion": "1.0.0",
        "SpanAttributes": {"service.name": "v"},
        "Duration": MINUTE_NS,
        "StatusCode": "Error",
        "StatusMessage": "error",
        "Events.Timestamp": [SHOWN],
        "Events.Name": ["event1"],
        "Events.Attributes": [{"level": "info"}],
        "Links.TraceId": ["01020500000000000000000000000000"],
        "Links.SpanId": ["0102050000000000"],
        "Links.TraceState": ["error"],
        "Links.Attributes": [{"k": "v"}],
    }


def test_a_log_is_the_row_that_the_exporter_is_tested_to_write(engine: Engine) -> None:
    """With a text as its body, and with a map, which is JSON."""
    request = ExportLogsServiceRequest()
    group = request.resource_logs.add(schema_url=RESOURCE_SCHEMA)
    group.resource.attributes.extend(RESOURCE.attributes)
    scope = group.scope_logs.add(schema_url=SCOPE_SCHEMA)
    scope.scope.CopyFrom(SCOPE)
    for body in (text("error message"), mapped(error=text("message"))):
        scope.log_records.append(
            LogRecord(
                time_unix_nano=MOMENT * 10**9, observed_time_unix_nano=MOMENT * 10**9,
                severity_number="SEVERITY_NUMBER_ERROR2", severity_text="error", body=body,
                event_name="event", attributes=pairs({"service.namespace": text("default")}),
                trace_id=identity(16, 1, 2, 3), span_id=identity(8, 1, 2, 3),
            )
        )  # fmt: skip
    rows = stored(engine, "logs", request.SerializeToString())["otel_logs"]
    expected = {
        "Timestamp": SHOWN,
        "TraceId": "01020300000000000000000000000000",
        "SpanId": "0102030000000000",
        "TraceFlags": 0,
        "SeverityText": "error",
        "SeverityNumber": 18,
        "ServiceName": "test-service",
        "ResourceSchemaUrl": RESOURCE_SCHEMA,
        "ResourceAttributes": {"service.name": "test-service"},
        "ScopeSchemaUrl": SCOPE_SCHEMA,
        "ScopeName": "io.opentelemetry.contrib.clickhouse",
        "ScopeVersion": "1.0.0",
        "ScopeAttributes": {"lib": "clickhouse"},
        "LogAttributes": {"service.namespace": "default"},
        "EventName": "event",
    }
    bodies = ("error message", '{"error":"message"}')
    assert rows == [expected | {"Body": body} for body in bodies]


TEXTS: dict[str, tuple[AnyValue, str]] = {
    "string": (text("string value"), "string value"),
    "int64": (AnyValue(int_value=42), "42"),
    "float64": (AnyValue(double_value=1.61803399), "1.61803399"),
    "small float64": (AnyValue(double_value=0.000000009), "9e-9"),
    "infinite": (AnyValue(double_value=math.inf), "Infinity"),
    "below all": (AnyValue(double_value=-math.inf), "-Infinity"),
    "no number": (AnyValue(double_value=math.nan), "NaN"),
    "boolean": (AnyValue(bool_value=True), "true"),
    "empty map": (mapped(), "{}"),
    "map": (
        mapped(
            strKey=text("strVal"), intKey=AnyValue(int_value=7),
            floatKey=AnyValue(double_value=18.6), boolKey=AnyValue(bool_value=False),
            nullKey=AnyValue(), mapKey=mapped(keyOne=text("valOne"), keyTwo=text("valTwo")),
            arrKey=listed(text("strOne"), text("strTwo")),
        ),
        '{"arrKey":["strOne","strTwo"],"boolKey":false,"floatKey":18.6,"intKey":7,'
        '"mapKey":{"keyOne":"valOne","keyTwo":"valTwo"},"nullKey":null,"strKey":"strVal"}',
    ),
    "empty array": (listed(), "[]"),
    "array": (
        listed(
            text("strVal"), AnyValue(int_value=7), AnyValue(double_value=18.6),
            AnyValue(bool_value=False), AnyValue(),
        ),
        '["strVal",7,18.6,false,null]',
    ),
    "empty": (AnyValue(), ""),
    "bytes": (AnyValue(bytes_value=b"String bytes"), "U3RyaW5nIGJ5dGVz"),
    "map of HTML": (mapped(key=text('<a href="x">&y</a>')), '{"key":"<a href=\\"x\\">&y</a>"}'),
    "array of HTML": (listed(text("<"), text(">"), text("&")), '["<",">","&"]'),
}  # fmt: skip


def test_attributes_are_the_texts_that_the_collector_is_tested_to_make(engine: Engine) -> None:
    """Every kind of value, infinite ones among them."""
    attributes = pairs({name: value for name, (value, _) in TEXTS.items()})
    request = request_of(span_of(attributes=attributes)).SerializeToString()
    [row] = stored(engine, "traces", request)["otel_traces"]
    assert row["SpanAttributes"] == {name: written for name, (_, written) in TEXTS.items()}
