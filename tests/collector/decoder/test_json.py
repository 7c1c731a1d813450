"""OTLP/JSON: the same request as its protobuf, whatever way its values are written."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf import json_format
from google.protobuf.message import Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from otel_llm.collector.decoder import (
    MalformedError,
    OversizeError,
    Signal,
    check,
    decode,
    from_json,
)
from tests.collector.decoder import strategies
from tests.collector.decoder.memory import grown

MESSAGES: dict[Signal, type[Message]] = {
    "traces": ExportTraceServiceRequest,
    "logs": ExportLogsServiceRequest,
    "metrics": ExportMetricsServiceRequest,
}
REQUESTS: dict[Signal, st.SearchStrategy[Any]] = {
    "traces": strategies.TRACES,
    "logs": strategies.LOGS,
    "metrics": strategies.METRICS,
}
IDS = ("traceId", "spanId", "parentSpanId")


def otlp_json(request: Message, *, enums_as_ints: bool) -> bytes:
    """The request in OTLP/JSON: as protobuf writes JSON, but ids are hex."""
    plain = json_format.MessageToDict(request, use_integers_for_enums=enums_as_ints)
    return json.dumps(_with_hex_ids(plain)).encode()


def _with_hex_ids(value: Any) -> Any:  # noqa: ANN401  whatever JSON holds
    if isinstance(value, list):
        return [_with_hex_ids(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        key: base64.b64decode(each).hex() if key in IDS else _with_hex_ids(each)
        for key, each in value.items()
    }


@pytest.mark.parametrize("signal", MESSAGES)
@pytest.mark.parametrize("enums_as_ints", [True, False])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_json_is_the_same_request(signal: Signal, enums_as_ints: bool, data: st.DataObject) -> None:
    """What the official messages say in JSON gives the blocks that their protobuf gives."""
    request = data.draw(REQUESTS[signal])
    body = from_json(signal, otlp_json(request, enums_as_ints=enums_as_ints))
    assert check(signal, body) == check(signal, request.SerializeToString())
    assert decode(signal, [body]) == decode(signal, [request.SerializeToString()])
    MESSAGES[signal].FromString(body)


def value_of(written: str) -> AnyValue:
    """The value that an attribute becomes."""
    body = (
        '{"resourceSpans":[{"scopeSpans":[{"spans":[{"attributes":[{"key":"k","value":'
        f"{written}}}]}}]}}]}}]}}"
    )
    request = ExportTraceServiceRequest.FromString(from_json("traces", body.encode()))
    [pair] = request.resource_spans[0].scope_spans[0].spans[0].attributes
    return pair.value


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ('{"stringValue":""}', AnyValue(string_value="")),
        ('{"intValue":0}', AnyValue(int_value=0)),
        ('{"intValue":"9007199254740993"}', AnyValue(int_value=2**53 + 1)),
        ('{"intValue":9007199254740993}', AnyValue(int_value=2**53 + 1)),
        ('{"intValue":"-9223372036854775808"}', AnyValue(int_value=-(2**63))),
        ('{"intValue":1.0}', AnyValue(int_value=1)),
        ('{"intValue":1e3}', AnyValue(int_value=1000)),
        ('{"intValue":1e18}', AnyValue(int_value=10**18)),
        ('{"intValue":"-9.223372036854775808E+18"}', AnyValue(int_value=-(2**63))),
        ('{"intValue":1234567890123456789000e-3}', AnyValue(int_value=1234567890123456789)),
        ('{"intValue":-0.0}', AnyValue(int_value=0)),
        (f'{{"intValue":1.{"0" * 900}}}', AnyValue(int_value=1)),
        (f'{{"doubleValue":0.{"1" * 70}}}', AnyValue(double_value=float(f"0.{'1' * 70}"))),
        (f'{{"doubleValue":1{"0" * 900}e-900}}', AnyValue(double_value=1)),
        (f'{{"doubleValue":0.{"0" * 30_000}7e30001}}', AnyValue(double_value=7)),
        (f'{{"doubleValue":9007199254740993.{"0" * 900}1}}', AnyValue(double_value=2**53 + 2)),
        (f'{{"doubleValue":9007199254740993.{"0" * 900}}}', AnyValue(double_value=2**53)),
        ('{"boolValue":false}', AnyValue(bool_value=False)),
        ('{"doubleValue":0}', AnyValue(double_value=0)),
        ('{"doubleValue":-0.25e-3}', AnyValue(double_value=-0.25e-3)),
        ('{"doubleValue":"1.5"}', AnyValue(double_value=1.5)),
        ('{"doubleValue":"-Infinity"}', AnyValue(double_value=float("-inf"))),
        ('{"doubleValue":1e999}', AnyValue(double_value=float("inf"))),
        ('{"doubleValue":0.1000000000000000055511151231257827}', AnyValue(double_value=0.1)),
        ('{"bytesValue":"AP8="}', AnyValue(bytes_value=b"\x00\xff")),
        ('{"bytesValue":"AP8"}', AnyValue(bytes_value=b"\x00\xff")),
        ('{"bytesValue":"_-8="}', AnyValue(bytes_value=b"\xff\xef")),
        ("{}", AnyValue()),
        ("null", AnyValue()),
        ('{"stringValue":null}', AnyValue()),
        (r'{"stringValue":"\u0000\ud83d\ude00\n\/\ud83d"}', AnyValue(string_value="\0😀\n/�")),
        ('{"unknown":{"a":[1,"\\u0041",{},true,null]},"stringValue":"x"}',
         AnyValue(string_value="x")),
        (' {\n"stringValue"\t: "x"\r} ', AnyValue(string_value="x")),
    ],
)  # fmt: skip
def test_values_may_be_written_in_several_ways(written: str, expected: AnyValue) -> None:
    """As the protobuf mapping of JSON allows."""
    assert value_of(written) == expected


@pytest.mark.parametrize(
    ("span", "field", "expected"),
    [
        ('"kind":3', "kind", 3),
        ('"kind":"SPAN_KIND_CLIENT"', "kind", 3),
        ('"kind":"3"', "kind", 3),
        ('"traceId":"0102030405060708090A0b0c0d0e0f10"', "trace_id", bytes(range(1, 17))),
        ('"startTimeUnixNano":1790000000123456789', "start_time_unix_nano", 1790000000123456789),
        ('"startTimeUnixNano":"1790000000123456789"', "start_time_unix_nano", 1790000000123456789),
        ('"start_time_unix_nano":1', "start_time_unix_nano", 0),
        ('"name":"a","name":"b"', "name", "b"),
    ],
)
def test_fields_of_a_span(span: str, field: str, expected: object) -> None:
    """Enums as number or name, ids as hex, times as number or string; snake case is unknown."""
    body = f'{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{{span}}}]}}]}}]}}'
    request = ExportTraceServiceRequest.FromString(from_json("traces", body.encode()))
    assert getattr(request.resource_spans[0].scope_spans[0].spans[0], field) == expected


@pytest.mark.parametrize(
    "body",
    [
        "",
        " ",
        "[]",
        "{",
        "{} {}",
        "{]",
        '{"resourceSpans":{}}',
        '{"resourceSpans":[{},]}',
        '{"resourceSpans":[{} {}]}',
        '{"resourceSpans":[1]}',
        '{"resourceSpans":[null]}',
        '{"a":tru}',
        '{"a":"\n"}',
        '{"a":"\\x"}',
        '{"a":"\\u00g0"}',
        '{"a" 1}',
        '{1:1}',
        '{"a":' + "[" * 300 + "]" * 300 + "}",
        *(
            f'{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{{span}}}]}}]}}]}}'
            for span in (
                '"traceId":"0"',
                '"traceId":"0g"',
                '"traceId":1',
                '"name":1',
                '"kind":"SPAN_KIND_NEW"',
                '"kind":""',
                '"startTimeUnixNano":"x"',
                '"startTimeUnixNano":1.5',
                '"startTimeUnixNano":18446744073709551616',
                '"startTimeUnixNano":1e20',
                '"startTimeUnixNano":1.' + "0" * 900 + "1",
                '"startTimeUnixNano":.5e1',
                '"attributes":[{"value":{"doubleValue":.5}}]',
                '"attributes":[{"value":{"intValue":"-9223372036854775809"}}]',
                '"attributes":[{"value":{"boolValue":"yes"}}]',
                '"attributes":[{"value":{"bytesValue":"A"}}]',
                '"attributes":[{"value":{"bytesValue":"A*=="}}]',
                '"attributes":[{"value":{"doubleValue":"1.2.3"}}]',
                '"attributes":[{"value":{"doubleValue":"0x10"}}]',
                '"attributes":[{"value":{"doubleValue":1e}}]',
            )
        ),
    ],
)  # fmt: skip
def test_what_is_no_request_is_refused(body: str) -> None:
    """With the place and the reason."""
    with pytest.raises(MalformedError) as caught:
        from_json("traces", body.encode())
    assert caught.value.where
    assert caught.value.why


def test_json_cut_anywhere_is_refused() -> None:
    """No end of a text breaks the reading."""
    whole = (
        b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"\\u00e9\\ud83d\\ude00","kind":1,'
        b'"traceId":"00","attributes":[{"key":"k","value":{"doubleValue":-1.5e3}}],'
        b'"x":[true,false,null,{"a":"b"}]}]}]}]}'
    )
    from_json("traces", whole)
    for size in range(len(whole)):
        with pytest.raises(MalformedError):
            from_json("traces", whole[:size])


@settings(max_examples=500, deadline=None)
@given(
    st.from_regex(r"-?(0|[1-9][0-9]{0,40})(\.[0-9]{1,1200})?([eE][-+]?[0-9]{1,4})?", fullmatch=True)
)
def test_any_decimal_is_the_nearest_double(written: str) -> None:
    """However many digits it has."""
    assert value_of(f'{{"doubleValue":{written}}}').double_value == float(written)


@pytest.mark.parametrize("member", ["bucketCounts", "explicitBounds"])
def test_repeated_numbers_take_eight_bytes(member: str) -> None:
    """They are packed: no tag before each."""
    point = f'{{"{member}":[{",".join(["1"] * 1000)}]}}'
    metric = f'{{"metrics":[{{"histogram":{{"dataPoints":[{point}]}}}}]}}'
    body = from_json("metrics", f'{{"resourceMetrics":[{{"scopeMetrics":[{metric}]}}]}}'.encode())
    assert 8000 < len(body) < 8100


def test_a_request_beyond_its_limit_is_refused() -> None:
    """The limit is the protobuf's; memory stays by it, however much the JSON would become."""
    body = b'{"resourceSpans":[' + b'{"resource":{"attributes":[{}]}},' * 9 + b"{}]}"
    size = len(from_json("traces", body))
    assert from_json("traces", body, size) == from_json("traces", body)
    for limit in (size - 1, 1, 0):
        with pytest.raises(OversizeError, match="more than its limit"):
            from_json("traces", body, limit)


def test_numbers_do_not_grow_past_the_limit() -> None:
    """16 MiB of `0,` would be 64 MiB; it takes two more at most when 1 MiB is allowed."""
    point = b'{"bucketCounts":[' + b"0," * (8 << 20) + b"0]}"
    metric = b'{"metrics":[{"histogram":{"dataPoints":[' + point + b"]}}]}"
    body = b'{"resourceMetrics":[{"scopeMetrics":[' + metric + b"]}]}"
    with pytest.raises(OversizeError):
        from_json("metrics", body, 1 << 20)
    assert grown("from_json('metrics', body, 1 << 20)", body) < 3 << 20


def told(work: Callable[[], object]) -> str:
    """Why a body is refused; nothing if it is taken."""
    try:
        work()
    except MalformedError as error:
        return error.why
    return ""


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(MESSAGES)), st.binary(max_size=60) | st.text().map(str.encode))
def test_any_bytes_are_read_or_refused(signal: Signal, body: bytes) -> None:
    """There is no third way, and decoding refuses what checking does."""
    told(lambda: from_json(signal, body))
    assert told(lambda: check(signal, body)) == told(lambda: decode(signal, [body]))
