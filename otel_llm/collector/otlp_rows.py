"""OTLP trace requests as rows of `otel_traces`, written as the collector's exporter writes them.

ClickHouse can parse the protobuf itself, but planning that takes 0.3 s of CPU per request whatever
its size, and exporters send small requests often (ADR 4). Here a span costs about 20 us.
"""

import base64
import json
import math
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

import pyarrow as pa
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from otel_llm.collector.otlp_size import decoded_over

_KINDS = ("Unspecified", "Internal", "Server", "Client", "Producer", "Consumer")
_CODES = ("Unset", "Ok", "Error")
_TRACE_ID_BYTES, _SPAN_ID_BYTES = 16, 8
_LARGEST_TIME = 2**63 - 1
# A row without any text, and a pair of a map, in Python and Arrow together.
_ROW_BYTES, _PAIR_BYTES = 512, 16
_NOT_FINITE = {"nan": "NaN", "inf": "+Inf", "-inf": "-Inf"}

_TIME = pa.timestamp("ns", tz="UTC")
_MAP = pa.map_(pa.string(), pa.string())
SCHEMA = pa.schema(
    [
        ("Timestamp", _TIME),
        ("TraceId", pa.string()),
        ("SpanId", pa.string()),
        ("ParentSpanId", pa.string()),
        ("TraceState", pa.string()),
        ("SpanName", pa.string()),
        ("SpanKind", pa.string()),
        ("ServiceName", pa.string()),
        ("ResourceAttributes", _MAP),
        ("ScopeName", pa.string()),
        ("ScopeVersion", pa.string()),
        ("SpanAttributes", _MAP),
        ("Duration", pa.uint64()),
        ("StatusCode", pa.string()),
        ("StatusMessage", pa.string()),
        ("Events.Timestamp", pa.list_(_TIME)),
        ("Events.Name", pa.list_(pa.string())),
        ("Events.Attributes", pa.list_(_MAP)),
        ("Links.TraceId", pa.list_(pa.string())),
        ("Links.SpanId", pa.list_(pa.string())),
        ("Links.TraceState", pa.list_(pa.string())),
        ("Links.Attributes", pa.list_(_MAP)),
    ]
)

Pairs = list[tuple[str, str]]


class MalformedError(ValueError):
    """The body is not an OTLP trace request, or holds what no span may hold."""


class ExpandedError(ValueError):
    """The request's rows are larger than allowed: each repeats its resource and scope."""


def arrow_block(body: bytes, limit: int) -> bytes:
    """The spans of one request as an Arrow stream; empty if it has none.

    Args:
        body: a serialized ExportTraceServiceRequest.
        limit: most bytes that its decoded form, and then its rows, may take.

    Raises:
        MalformedError: it cannot be decoded, or an id or a time cannot be one.
        ExpandedError: it is larger than `limit`. Raised before that memory is taken.
    """
    if decoded_over(body, limit):
        raise ExpandedError
    try:
        request = ExportTraceServiceRequest.FromString(body)
    except DecodeError as error:
        message = "it cannot be decoded as protobuf"
        raise MalformedError(message) from error
    rows = _bounded(request, limit)
    if not rows:
        return b""
    columns = [
        pa.array(values, type=field.type)
        for values, field in zip(zip(*rows, strict=True), SCHEMA, strict=True)
    ]
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, SCHEMA) as stream:
        stream.write_batch(pa.record_batch(columns, schema=SCHEMA))
    block: bytes = sink.getvalue().to_pybytes()
    return block


def _bounded(request: ExportTraceServiceRequest, limit: int) -> list[tuple[Any, ...]]:
    """All rows. Text that rows share counts once for each: Arrow and ClickHouse copy it."""
    rows: list[tuple[Any, ...]] = []
    size = 0
    for resource in request.resource_spans:
        shared = _size(_map(resource.resource.attributes))
        for scope in resource.scope_spans:
            each = _ROW_BYTES + shared + len(scope.scope.name.encode())
            each += len(scope.scope.version.encode())
            size += each * len(scope.spans)
            if size > limit:
                raise ExpandedError
        rows.extend(_rows(resource))
    return rows


def _size(pairs: Pairs) -> int:
    return sum(_PAIR_BYTES + len(key.encode()) + len(text.encode()) for key, text in pairs)


def _rows(resource: ResourceSpans) -> Iterator[tuple[Any, ...]]:
    attributes = _map(resource.resource.attributes)
    service = dict(attributes).get("service.name", "")
    for scope in resource.scope_spans:
        for span in scope.spans:
            yield _row(span, scope, service, attributes)


def _row(span: Span, scope: ScopeSpans, service: str, resource: Pairs) -> tuple[Any, ...]:
    start, end = _time(span.start_time_unix_nano), _time(span.end_time_unix_nano)
    return (
        start,
        _hex(span.trace_id, _TRACE_ID_BYTES),
        _hex(span.span_id, _SPAN_ID_BYTES),
        _hex(span.parent_span_id, _SPAN_ID_BYTES),
        span.trace_state,
        span.name,
        _name(_KINDS, span.kind),
        service,
        resource,
        scope.scope.name,
        scope.scope.version,
        _map(span.attributes),
        max(0, end - start),
        _name(_CODES, span.status.code),
        span.status.message,
        [_time(event.time_unix_nano) for event in span.events],
        [event.name for event in span.events],
        [_map(event.attributes) for event in span.events],
        [_hex(link.trace_id, _TRACE_ID_BYTES) for link in span.links],
        [_hex(link.span_id, _SPAN_ID_BYTES) for link in span.links],
        [link.trace_state for link in span.links],
        [_map(link.attributes) for link in span.links],
    )


def _hex(identifier: bytes, size: int) -> str:
    """An id as lower-case hex; all zeros mean none."""
    if len(identifier) not in (0, size):
        message = f"an id has {len(identifier)} bytes in place of {size}"
        raise MalformedError(message)
    return identifier.hex() if any(identifier) else ""


def _time(nanoseconds: int) -> int:
    if nanoseconds > _LARGEST_TIME:
        message = f"{nanoseconds} ns is no time"
        raise MalformedError(message)
    return nanoseconds


def _name(names: tuple[str, ...], number: int) -> str:
    return names[number] if 0 <= number < len(names) else names[0]


def _map(pairs: Iterable[KeyValue]) -> Pairs:
    """Attributes as text. Of two values of one key the last counts."""
    return list({pair.key: _text(pair.value) for pair in pairs}.items())


def _text(value: AnyValue) -> str:
    """Text of an attribute, as the collector's `pcommon.Value.AsString` gives it."""
    if value.HasField("string_value"):
        return value.string_value
    if value.HasField("bytes_value"):
        return base64.b64encode(value.bytes_value).decode()
    if value.WhichOneof("value") is None:
        return ""
    if value.HasField("double_value") and not math.isfinite(value.double_value):
        return f"json: unsupported value: {_NOT_FINITE[str(value.double_value)]}"
    try:
        return _json(value)
    except _NotFiniteError:
        # Go's encoder fails, and AsString drops its error together with what was written.
        return ""


class _NotFiniteError(ValueError):
    """JSON has no form for an infinite double or one that is no number."""


def _json(value: AnyValue) -> str:
    """A value as Go's `encoding/json` writes it for the collector.

    `<`, `>` and `&` stay as they are: AsString escaped them until the collector's change 15108.
    """
    which = value.WhichOneof("value")
    if which == "array_value":
        return f"[{','.join(map(_json, value.array_value.values))}]"
    if which == "kvlist_value":
        last = {pair.key: pair.value for pair in value.kvlist_value.values}
        return f"{{{','.join(f'{_quoted(key)}:{_json(last[key])}' for key in sorted(last))}}}"
    if which == "bytes_value":
        return _quoted(base64.b64encode(value.bytes_value).decode())
    if which == "string_value":
        return _quoted(value.string_value)
    if which == "double_value":
        return _double(value.double_value)
    return "null" if which is None else json.dumps(getattr(value, which))


def _quoted(text: str) -> str:
    """A JSON string. Go escapes the two line separators of JavaScript, whatever else it escapes."""
    quoted = json.dumps(text, ensure_ascii=False)
    return quoted.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _double(number: float) -> str:
    """A double as Go writes it: the shortest digits, an exponent below 1e-6 and from 1e21 on."""
    if not math.isfinite(number):
        raise _NotFiniteError
    text = repr(number)
    if number and not 1e-6 <= abs(number) < 1e21:
        digits, _, exponent = text.partition("e")
        return f"{digits}e{int(exponent):+d}"
    if "e" in text:
        return format(Decimal(text), "f")
    return text.removesuffix(".0")
