"""A slow second reading of OTLP, by the official messages: what the rows ought to be.

Written from the collector's exporter and `pcommon.Value.AsString`, with nothing of the decoder.
Values are as `JSONEachRow` shows them.
"""

import base64
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any

from google.protobuf.message import Message
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span

Row = dict[str, Any]
KINDS = ("Unspecified", "Internal", "Server", "Client", "Producer", "Consumer")
CODES = ("Unset", "Ok", "Error")


def trace_rows(request: Message) -> list[Row]:
    """Rows of `otel_traces`."""
    return [
        _span(span, _shared(group.resource), scope.scope)
        for group in request.resource_spans
        for scope in group.scope_spans
        for span in scope.spans
    ]


def _shared(resource: Message) -> Row:
    attributes = pairs(resource.attributes)
    return {
        "ResourceAttributes": attributes,
        "ServiceName": attributes.get("service.name", ""),
    }


def _span(span: Span, shared: Row, scope: Message) -> Row:
    return shared | {
        "Timestamp": when(span.start_time_unix_nano),
        "TraceId": identity(span.trace_id),
        "SpanId": identity(span.span_id),
        "ParentSpanId": identity(span.parent_span_id),
        "TraceState": span.trace_state,
        "SpanName": span.name,
        "SpanKind": named(KINDS, span.kind),
        "ScopeName": scope.name,
        "ScopeVersion": scope.version,
        "SpanAttributes": pairs(span.attributes),
        "Duration": max(0, span.end_time_unix_nano - span.start_time_unix_nano),
        "StatusCode": named(CODES, span.status.code),
        "StatusMessage": span.status.message,
        "Events.Timestamp": [when(event.time_unix_nano) for event in span.events],
        "Events.Name": [event.name for event in span.events],
        "Events.Attributes": [pairs(event.attributes) for event in span.events],
        "Links.TraceId": [identity(link.trace_id) for link in span.links],
        "Links.SpanId": [identity(link.span_id) for link in span.links],
        "Links.TraceState": [link.trace_state for link in span.links],
        "Links.Attributes": [pairs(link.attributes) for link in span.links],
    }


def log_rows(request: Message) -> list[Row]:
    """Rows of `otel_logs`."""
    return [
        _shared(group.resource)
        | {
            "ResourceSchemaUrl": group.schema_url,
            "ScopeSchemaUrl": scope.schema_url,
            "ScopeName": scope.scope.name,
            "ScopeVersion": scope.scope.version,
            "ScopeAttributes": pairs(scope.scope.attributes),
        }
        | _record(record)
        for group in request.resource_logs
        for scope in group.scope_logs
        for record in scope.log_records
    ]


def _record(record: LogRecord) -> Row:
    return {
        "Timestamp": when(record.time_unix_nano or record.observed_time_unix_nano),
        "TraceId": identity(record.trace_id),
        "SpanId": identity(record.span_id),
        "TraceFlags": record.flags & 0xFF,
        "SeverityText": record.severity_text,
        "SeverityNumber": record.severity_number & 0xFF,
        "Body": text(record.body),
        "LogAttributes": pairs(record.attributes),
        "EventName": record.event_name,
    }


def metric_rows(request: Message) -> dict[str, list[Row]]:
    """Rows of each `otel_metrics_*` that gets any."""
    rows: dict[str, list[Row]] = {}
    for group in request.resource_metrics:
        for scope in group.scope_metrics:
            for metric in scope.metrics:
                kind = metric.WhichOneof("data")
                if kind is None:
                    continue
                made = [
                    _described(group, scope, metric) | point
                    for point in _points(kind, getattr(metric, kind))
                ]
                rows.setdefault(f"otel_metrics_{kind}", []).extend(made)
    return {table: each for table, each in rows.items() if each}


def _described(group: Message, scope: Message, metric: Message) -> Row:
    return _shared(group.resource) | {
        "ResourceSchemaUrl": group.schema_url,
        "ScopeName": scope.scope.name,
        "ScopeVersion": scope.scope.version,
        "ScopeAttributes": pairs(scope.scope.attributes),
        "ScopeDroppedAttrCount": scope.scope.dropped_attributes_count,
        "ScopeSchemaUrl": scope.schema_url,
        "MetricName": metric.name,
        "MetricDescription": metric.description,
        "MetricUnit": metric.unit,
    }


def _points(kind: str, data: Message) -> Iterator[Row]:
    for point in data.data_points:
        row = {
            "Attributes": pairs(point.attributes),
            "StartTimeUnix": when(point.start_time_unix_nano),
            "TimeUnix": when(point.time_unix_nano),
            "Flags": point.flags,
        }
        if kind in ("gauge", "sum"):
            row["Value"] = value_of(point)
        else:
            row |= {"Count": point.count, "Sum": number(point.sum)}
        if kind == "summary":
            row |= _quantiles(point)
        else:
            row |= _exemplars(point.exemplars)
        if kind == "histogram":
            row["BucketCounts"] = list(point.bucket_counts)
            row["ExplicitBounds"] = [number(bound) for bound in point.explicit_bounds]
        if kind == "exponential_histogram":
            row |= _scaled(point)
        if "histogram" in kind:
            row |= {"Min": number(point.min), "Max": number(point.max)}
        if kind not in ("gauge", "summary"):
            row["AggregationTemporality"] = data.aggregation_temporality
        if kind == "sum":
            row["IsMonotonic"] = data.is_monotonic
        yield row


def _quantiles(point: Message) -> Row:
    return {
        "ValueAtQuantiles.Quantile": [number(each.quantile) for each in point.quantile_values],
        "ValueAtQuantiles.Value": [number(each.value) for each in point.quantile_values],
    }


def _exemplars(exemplars: Iterable[Any]) -> Row:
    each = list(exemplars)
    return {
        "Exemplars.FilteredAttributes": [pairs(one.filtered_attributes) for one in each],
        "Exemplars.TimeUnix": [when(one.time_unix_nano) for one in each],
        "Exemplars.Value": [value_of(one) for one in each],
        "Exemplars.SpanId": [(one.span_id or bytes(8)).hex() for one in each],
        "Exemplars.TraceId": [(one.trace_id or bytes(16)).hex() for one in each],
    }


def _scaled(point: Message) -> Row:
    return {
        "Scale": point.scale,
        "ZeroCount": point.zero_count,
        "PositiveOffset": point.positive.offset,
        "PositiveBucketCounts": list(point.positive.bucket_counts),
        "NegativeOffset": point.negative.offset,
        "NegativeBucketCounts": list(point.negative.bucket_counts),
    }


def value_of(point: Message) -> float | str:
    """The one value of a data point or exemplar; 0 if it has none."""
    which = point.WhichOneof("value")
    return number(float(getattr(point, which)) if which else 0.0)


def number(value: float) -> float | str:
    """A double as ClickHouse shows it."""
    return value if math.isfinite(value) else str(value)


def when(nanoseconds: int) -> str:
    """A time as ClickHouse shows it."""
    return f"{nanoseconds // 10**9}.{nanoseconds % 10**9:09}"


def identity(each: bytes) -> str:
    """An id; all zeros are none."""
    return each.hex() if any(each) else ""


def named(names: Sequence[str], index: int) -> str:
    """The name of an enum's value; of one that is unknown, the first."""
    return names[index] if 0 <= index < len(names) else names[0]


def pairs(attributes: Iterable[KeyValue]) -> dict[str, str]:
    """Attributes as text. Of two values of one key the last counts."""
    return {pair.key: text(pair.value) for pair in attributes}


def text(value: AnyValue) -> str:
    """Text of an attribute, as the collector's `pcommon.Value.AsString` gives it."""
    which = value.WhichOneof("value")
    if which is None:
        return ""
    if which == "string_value":
        return value.string_value
    if which == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    if which == "double_value" and not math.isfinite(value.double_value):
        return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(value.double_value)]
    try:
        return _json(value)
    except _NotFiniteError:
        return ""


class _NotFiniteError(ValueError):
    """JSON has no form for an infinite double or one that is no number."""


def _json(value: AnyValue) -> str:
    """A value as Go's `encoding/json` writes it."""
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


def _quoted(each: str) -> str:
    quoted = json.dumps(each, ensure_ascii=False)
    return quoted.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _double(each: float) -> str:
    """The shortest digits, an exponent below 1e-6 and from 1e21 on."""
    if not math.isfinite(each):
        raise _NotFiniteError
    shown = repr(each)
    if each and not 1e-6 <= abs(each) < 1e21:
        digits, _, exponent = shown.partition("e")
        return f"{digits}e{int(exponent):+d}"
    if "e" in shown:
        return format(Decimal(shown), "f")
    return shown.removesuffix(".0")
