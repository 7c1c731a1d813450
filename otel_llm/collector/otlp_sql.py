"""The SQL by which ClickHouse itself turns an OTLP request into rows of `otel_traces`.

The raw bytes go into a table of engine Null, whose column has the shape of the message; a
materialized view writes the rows. No span passes through Python.
"""

from otel_llm.exporters.clickhouse.engine import DATABASE

INPUT_DATABASE = "otlp"
INPUT = f"{INPUT_DATABASE}.traces_in"

_SCALARS = (
    "string_value Nullable(String), bool_value Nullable(Bool), int_value Nullable(Int64), "
    "double_value Nullable(Float64), "
)
_ANY2 = (
    f"Tuple({_SCALARS}array_value Nullable(String), kvlist_value Nullable(String), "
    "bytes_value Nullable(String))"
)


def _any(inner: str) -> str:
    """Type of an AnyValue whose members are of type `inner`."""
    pair = f"Tuple(key String, value {inner})"
    return (
        f"Tuple({_SCALARS}array_value Array(Tuple(values Array({inner}))), "
        f"kvlist_value Array(Tuple(values Array({pair}))), bytes_value Nullable(String))"
    )


_PAIRS = f"Array(Tuple(key String, value {_any(_any(_ANY2))}))"
_EVENTS = f"Array(Tuple(time_unix_nano UInt64, name String, attributes {_PAIRS}))"
_LINKS = f"Array(Tuple(trace_id String, span_id String, trace_state String, attributes {_PAIRS}))"
_SPAN = (
    "Tuple(trace_id String, span_id String, trace_state String, parent_span_id String, "
    "name String, kind Int32, start_time_unix_nano UInt64, end_time_unix_nano UInt64, "
    f"attributes {_PAIRS}, events {_EVENTS}, links {_LINKS}, "
    "status Tuple(message String, code Int32))"
)
_ROW = (
    f"Array(Tuple(resource Tuple(attributes {_PAIRS}), scope_spans Array(Tuple("
    f"scope Tuple(name String, version String), spans Array({_SPAN})))))"
)


def _double(v: str) -> str:
    """A double as Go prints it: 1e21 becomes 1e+21."""
    return f"replaceRegexpOne(toString({v}.double_value), 'e([0-9])', 'e+\\\\1')"


def _number(v: str) -> str:
    """JSON text of a bool, int or double; JSON has no text for what is not finite."""
    return (
        f"{v}.bool_value IS NOT NULL, toString({v}.bool_value), "
        f"{v}.int_value IS NOT NULL, toString({v}.int_value), "
        f"{v}.double_value IS NOT NULL, if(isFinite({v}.double_value), {_double(v)}, 'null'), "
    )


def _json2(v: str) -> str:
    raw = f"coalesce({v}.bytes_value, {v}.array_value, {v}.kvlist_value)"
    return (
        f"multiIf({v}.string_value IS NOT NULL, toJSONString(toValidUTF8({v}.string_value)), "
        f"{_number(v)}{raw} IS NOT NULL, toJSONString(base64Encode({raw})), 'null')"
    )


def _array(v: str, depth: int) -> str:
    x = f"x{depth}"
    items = f"arrayMap({x} -> {_json(x, depth + 1)}, {v}.array_value[1].values)"
    return f"concat('[', arrayStringConcat({items}, ','), ']')"


def _object(v: str, depth: int) -> str:
    x = f"p{depth}"
    pair = f"concat(toJSONString(toValidUTF8({x}.key)), ':', {_json(f'{x}.value', depth + 1)})"
    items = f"arrayMap({x} -> {pair}, {v}.kvlist_value[1].values)"
    return f"concat('{{', arrayStringConcat({items}, ','), '}}')"


def _json(v: str, depth: int) -> str:
    """JSON text of the AnyValue `v` that stands inside another."""
    if depth == 2:
        return _json2(v)
    return (
        f"multiIf({v}.string_value IS NOT NULL, toJSONString(toValidUTF8({v}.string_value)), "
        f"{_number(v)}{v}.bytes_value IS NOT NULL, toJSONString(base64Encode({v}.bytes_value)), "
        f"notEmpty({v}.array_value), {_array(v, depth)}, "
        f"notEmpty({v}.kvlist_value), {_object(v, depth)}, 'null')"
    )


def _text(v: str) -> str:
    """Text of the AnyValue `v`, as the collector's AsString gives it."""
    return (
        f"multiIf({v}.string_value IS NOT NULL, toValidUTF8(assumeNotNull({v}.string_value)), "
        f"{v}.bool_value IS NOT NULL, toString(assumeNotNull({v}.bool_value)), "
        f"{v}.int_value IS NOT NULL, toString(assumeNotNull({v}.int_value)), "
        f"{v}.double_value IS NOT NULL, {_double(v)}, "
        f"{v}.bytes_value IS NOT NULL, base64Encode(assumeNotNull({v}.bytes_value)), "
        f"notEmpty({v}.array_value), {_array(v, 0)}, "
        f"notEmpty({v}.kvlist_value), {_object(v, 0)}, '')"
    )


def _map(pairs: str) -> str:
    """Map of a list of pairs."""
    values = f"arrayMap(v -> assumeNotNull({_text('v')}), {pairs}.value)"
    keys = f"arrayMap(k -> toValidUTF8(k), {pairs}.key)"
    return f"CAST(mapFromArrays({keys}, {values}), 'Map(LowCardinality(String), String)')"


def _hex(identifier: str, size: int) -> str:
    """An id as lower-case hex; all zeros mean none. A wrong length fails the whole request."""
    wrong = f"throwIf(length({identifier}) NOT IN (0, {size}), 'an id of the wrong length')"
    none = f"{identifier} = unhex('{'00' * size}')"
    return f"if({wrong} OR {none}, '', lower(hex({identifier})))"


def _hex_no_check(identifier: str, size: int) -> str:
    return f"if({identifier} = unhex('{'00' * size}'), '', lower(hex({identifier})))"


def _time(nanoseconds: str) -> str:
    return f"fromUnixTimestamp64Nano(toInt64({nanoseconds}), 'UTC')"


_KINDS = "['Unspecified', 'Internal', 'Server', 'Client', 'Producer', 'Consumer']"
_CODES = "['Unset', 'Ok', 'Error']"

CREATE_DATABASE = f"CREATE DATABASE IF NOT EXISTS {INPUT_DATABASE} ENGINE = Atomic"
CREATE_INPUT = f"CREATE TABLE {INPUT} (row {_ROW}) ENGINE = Null"
DROP_VIEW = f"DROP VIEW IF EXISTS {INPUT_DATABASE}.traces_mv SYNC"
DROP_INPUT = f"DROP TABLE IF EXISTS {INPUT} SYNC"
CREATE_VIEW = f"""CREATE MATERIALIZED VIEW {INPUT_DATABASE}.traces_mv TO {DATABASE}.otel_traces AS
WITH
    arrayJoin(row) AS r,
    arrayJoin(r.scope_spans) AS ss,
    arrayJoin(ss.spans) AS s
SELECT
    {_time("s.start_time_unix_nano")} AS Timestamp,
    {_hex("s.trace_id", 16)} AS TraceId,
    {_hex("s.span_id", 8)} AS SpanId,
    {_hex("s.parent_span_id", 8)} AS ParentSpanId,
    toValidUTF8(s.trace_state) AS TraceState,
    toValidUTF8(s.name) AS SpanName,
    {_KINDS}[s.kind + 1] AS SpanKind,
    ResourceAttributes['service.name'] AS ServiceName,
    {_map("r.resource.attributes")} AS ResourceAttributes,
    toValidUTF8(ss.scope.name) AS ScopeName,
    toValidUTF8(ss.scope.version) AS ScopeVersion,
    {_map("s.attributes")} AS SpanAttributes,
    if(s.end_time_unix_nano > s.start_time_unix_nano,
       s.end_time_unix_nano - s.start_time_unix_nano, 0) AS Duration,
    {_CODES}[s.status.code + 1] AS StatusCode,
    toValidUTF8(s.status.message) AS StatusMessage,
    arrayMap(e -> {_time("e.time_unix_nano")}, s.events) AS `Events.Timestamp`,
    arrayMap(e -> toValidUTF8(e.name), s.events) AS `Events.Name`,
    arrayMap(e -> {_map("e.attributes")}, s.events) AS `Events.Attributes`,
    arrayMap(l -> {_hex_no_check("l.trace_id", 16)}, s.links) AS `Links.TraceId`,
    arrayMap(l -> {_hex_no_check("l.span_id", 8)}, s.links) AS `Links.SpanId`,
    arrayMap(l -> toValidUTF8(l.trace_state), s.links) AS `Links.TraceState`,
    arrayMap(l -> {_map("l.attributes")}, s.links) AS `Links.Attributes`
FROM {INPUT}"""  # noqa: S608  every part is a constant of this module
