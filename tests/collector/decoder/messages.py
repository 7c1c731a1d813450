"""OTLP trace requests to decode, built with the official messages."""

from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

START_NS = 1_790_000_000_123_456_789


def text(value: str) -> AnyValue:
    """A string value."""
    return AnyValue(string_value=value)


def pairs(values: dict[str, AnyValue]) -> list[KeyValue]:
    """Attributes."""
    return [KeyValue(key=key, value=value) for key, value in values.items()]


def span_of(**fields: Any) -> Span:  # noqa: ANN401  as Span takes them
    """A span, overridden by `fields`."""
    given = {
        "trace_id": b"\1" * 16,
        "span_id": b"\2" * 8,
        "name": "span",
        "start_time_unix_nano": START_NS,
        "end_time_unix_nano": START_NS + 5,
    }
    return Span(**{**given, **fields})


def request_of(*spans: Span, **resource: AnyValue) -> ExportTraceServiceRequest:
    """An export request of one resource and scope."""
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.extend(pairs(resource))
    scope = group.scope_spans.add()
    scope.scope.name, scope.scope.version = "scope", "1.2"
    scope.spans.extend(spans)
    return request


def field(number: int, body: bytes) -> bytes:
    """A field that is a message, with its length in four bytes."""
    size = len(body)
    shifts = [size >> shift & 0x7F for shift in (0, 7, 14, 21)]
    return bytes([number << 3 | 2, *(part | 0x80 for part in shifts[:3]), shifts[3]]) + body


def nested(depth: int) -> bytes:
    """A serialized KeyValue of lists in each other; the official messages end at fewer."""
    value = AnyValue(int_value=1).SerializeToString()
    for _ in range(depth):
        value = field(5, field(1, value))
    return field(1, b"k") + field(2, value)
