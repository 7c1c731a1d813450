"""The other candidate: ClickHouse parses the requests itself, by a schema, into `otel_traces`."""

from collections.abc import Sequence
from pathlib import Path

_SCHEMA = Path(__file__).with_name("otlp.proto")
_VALUE = (
    "Tuple(string_value Nullable(String), bool_value Nullable(Bool), "
    "int_value Nullable(Int64), double_value Nullable(Float64))"
)
_PAIRS = f"Array(Tuple(key String, value {_VALUE}))"
_EVENT = f"Tuple(time_unix_nano UInt64, name String, attributes {_PAIRS})"
_LINK = f"Tuple(trace_id String, span_id String, trace_state String, attributes {_PAIRS})"
_SPAN = (
    "Tuple(trace_id String, span_id String, trace_state String, parent_span_id String, "
    "name String, kind UInt32, start_time_unix_nano UInt64, end_time_unix_nano UInt64, "
    f"attributes {_PAIRS}, events Array({_EVENT}), links Array({_LINK}), "
    "status Tuple(message String, code UInt32))"
)
_ROW = (
    f"resource Tuple(attributes {_PAIRS}), "
    f"scope_spans Array(Tuple(scope Tuple(name String, version String), spans Array({_SPAN})))"
)
_KINDS = "['Unspecified', 'Internal', 'Server', 'Client', 'Producer', 'Consumer']"


def _map(pairs: str) -> str:
    """Attributes as the map of text that the table has."""
    text = (
        "coalesce(p.value.string_value, toString(p.value.int_value), "
        "toString(p.value.double_value), toString(p.value.bool_value), '')"
    )
    keys = f"arrayMap(p -> p.key, {pairs})"
    values = f"arrayMap(p -> {text}, {pairs})"
    return f"CAST(({keys}, {values}), 'Map(LowCardinality(String), String)')"


TABLE = f"CREATE TABLE raw ({_ROW}) ENGINE = Null"
VIEW = f"""CREATE MATERIALIZED VIEW raw_mv TO otel_traces AS
SELECT fromUnixTimestamp64Nano(s.start_time_unix_nano::Int64) AS Timestamp,
    lower(hex(s.trace_id)) AS TraceId, lower(hex(s.span_id)) AS SpanId,
    lower(hex(s.parent_span_id)) AS ParentSpanId, s.trace_state AS TraceState,
    s.name AS SpanName, {_KINDS}[s.kind + 1] AS SpanKind,
    ResourceAttributes['service.name'] AS ServiceName, ResourceAttributes,
    scope.name AS ScopeName, scope.version AS ScopeVersion,
    {_map("s.attributes")} AS SpanAttributes,
    s.end_time_unix_nano - s.start_time_unix_nano AS Duration,
    ['Unset', 'Ok', 'Error'][s.status.code + 1] AS StatusCode, s.status.message AS StatusMessage,
    arrayMap(e -> fromUnixTimestamp64Nano(e.time_unix_nano::Int64), s.events)
        AS `Events.Timestamp`,
    arrayMap(e -> e.name, s.events) AS `Events.Name`,
    arrayMap(e -> {_map("e.attributes")}, s.events) AS `Events.Attributes`,
    arrayMap(l -> lower(hex(l.trace_id)), s.links) AS `Links.TraceId`,
    arrayMap(l -> lower(hex(l.span_id)), s.links) AS `Links.SpanId`,
    arrayMap(l -> l.trace_state, s.links) AS `Links.TraceState`,
    arrayMap(l -> {_map("l.attributes")}, s.links) AS `Links.Attributes`
FROM (
    SELECT {_map("resource.attributes")} AS ResourceAttributes, each.scope AS scope,
        arrayJoin(each.spans) AS s
    FROM (SELECT resource, arrayJoin(scope_spans) AS each FROM raw)
)"""
SETTINGS = {"format_schema": f"{_SCHEMA}:ResourceSpans"}
"""Of an insert into `raw`."""


def joined(bodies: Sequence[bytes]) -> bytes:
    """Many requests as ProtobufList wants one: in a row they are valid, their length goes first."""
    size, prefix = sum(map(len, bodies)), bytearray()
    while size > 0x7F:
        prefix.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([*prefix, size]) + b"".join(bodies)
