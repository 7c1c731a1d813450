"""The golden set: what each kind of attribute value becomes, as it is stored."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from otel_llm.collector.decoder import decode
from otel_llm.exporters.clickhouse.engine import Engine
from tests.collector.decoder import reading
from tests.collector.decoder.messages import (
    START_NS,
    field,
    nested,
    pairs,
    request_of,
    span_of,
    text,
)
from tests.collector.decoder.stored import Row, in_order, stored


def listed(*values: AnyValue) -> AnyValue:
    """A list."""
    made = AnyValue()
    made.array_value.values.extend(values)
    made.array_value.SetInParent()
    return made


def mapped(**values: AnyValue) -> AnyValue:
    """A map."""
    made = AnyValue()
    made.kvlist_value.values.extend(pairs(values))
    made.kvlist_value.SetInParent()
    return made


def number(value: float) -> AnyValue:
    """A double."""
    return AnyValue(double_value=value)


NOTHING = AnyValue()
GOLDEN: dict[str, tuple[AnyValue, str]] = {
    "empty string": (text(""), ""),
    "string": (text('tab\t"quote" \\ \' ünï \0'), 'tab\t"quote" \\ \' ünï \0'),
    "sql": (text("'); DROP TABLE otel_traces; --"), "'); DROP TABLE otel_traces; --"),
    "true": (AnyValue(bool_value=True), "true"),
    "false": (AnyValue(bool_value=False), "false"),
    "zero": (AnyValue(int_value=0), "0"),
    "beyond 2^53": (AnyValue(int_value=2**53 + 1), "9007199254740993"),
    "largest": (AnyValue(int_value=2**63 - 1), "9223372036854775807"),
    "smallest": (AnyValue(int_value=-(2**63)), "-9223372036854775808"),
    "double": (number(0.1), "0.1"),
    "zero double": (number(0.0), "0"),
    "negative zero": (number(-0.0), "-0"),
    "1e21": (number(1e21), "1e+21"),
    "1e-7": (number(1e-7), "1e-7"),
    "1e20": (number(1e20), "100000000000000000000"),
    "tiniest": (number(5e-324), "5e-324"),
    "no number": (number(math.nan), "json: unsupported value: NaN"),
    "infinite": (number(math.inf), "json: unsupported value: +Inf"),
    "below all": (number(-math.inf), "json: unsupported value: -Inf"),
    "bytes": (AnyValue(bytes_value=b"\x00\xff\x10"), "AP8Q"),
    "two bytes": (AnyValue(bytes_value=b"\x00\xff"), "AP8="),
    "a byte": (AnyValue(bytes_value=b"\x00"), "AA=="),
    "empty bytes": (AnyValue(bytes_value=b""), ""),
    "nothing": (NOTHING, ""),
    "empty list": (listed(), "[]"),
    "empty map": (mapped(), "{}"),
    "list": (
        listed(text('a"\n\x01<>&'), AnyValue(int_value=1), NOTHING, AnyValue(bytes_value=b"\xff")),
        '["a\\"\\n\\u0001<>&",1,null,"/w=="]',
    ),
    "separators": (listed(text("\u2028\u2029")), '["\\u2028\\u2029"]'),
    "map": (
        mapped(b=AnyValue(bool_value=True), a=listed(number(2.0)), B=mapped()),
        '{"B":{},"a":[2],"b":true}',
    ),
    "infinite in a map": (mapped(a=listed(number(math.inf))), ""),
}


def stored_span(engine: Engine, body: bytes) -> Row:
    """The one row."""
    [row] = stored(engine, "traces", body)["otel_traces"]
    return row


def test_every_kind_of_value(engine: Engine) -> None:
    """'', 0, false and absent differ; lists and maps are JSON in order of keys; bytes base64."""
    attributes = pairs({name: value for name, (value, _) in GOLDEN.items()})
    events = [Span.Event(time_unix_nano=START_NS, name="e", attributes=attributes)]
    links = [Span.Link(attributes=attributes)]
    span = span_of(attributes=attributes, events=events, links=links, status=Status(code=2))
    resource = {name: value for name, (value, _) in GOLDEN.items()}
    row = stored_span(engine, request_of(span, **resource).SerializeToString())
    expected = {name: written for name, (_, written) in GOLDEN.items()}
    assert row["SpanAttributes"] == expected
    assert row["ResourceAttributes"] == expected
    assert (row["Events.Attributes"], row["Links.Attributes"]) == ([expected], [expected])


def test_of_two_values_of_a_key_the_last_counts(engine: Engine) -> None:
    """In attributes and in maps, whatever stands between."""
    inner = AnyValue()
    inner.kvlist_value.values.extend([*pairs({"k": text("1"), "l": text("2")}), KeyValue(key="k")])
    attributes = [*pairs({"a": text("1"), "b": text("2"), "m": inner}), *pairs({"a": text("3")})]
    row = stored_span(engine, request_of(span_of(attributes=attributes)).SerializeToString())
    assert row["SpanAttributes"] == {"a": "3", "b": "2", "m": '{"k":null,"l":"2"}'}


def test_bytes_that_are_no_utf8_are_kept(engine: Engine) -> None:
    """In names, keys and values as they are; within JSON each becomes U+FFFD, as Go writes it."""
    body = request_of(
        span_of(name="n-a-me", attributes=pairs({"k-e-y": text("t-x-t"), "l": listed(text("i-n"))}))
    ).SerializeToString()
    for sent, odd in ((b"n-a-me", b"n\xff\0\xc3(m"), (b"k-e-y", b"k\xed\xa0\x80y"),
                      (b"t-x-t", b"\xf8\x88\x80\0t"), (b"i-n", b"i\xc3n")):  # fmt: skip
        body = body.replace(sent, odd)
    row = "hex(SpanName), hex(SpanAttributes[unhex('6BEDA08079')]), SpanAttributes['l']"
    stored(engine, "traces", body)
    with engine.session() as handle:
        lines = handle.run(f"SELECT {row} FROM otel_traces").decode().split("\t")
    assert bytes.fromhex(lines[0]) == b"n\xff\0\xc3(m"
    assert bytes.fromhex(lines[1]) == b"\xf8\x88\x80\0t"
    assert lines[2].strip() == '["i\\\\ufffdn"]'


def test_a_large_value_is_stored_whole(engine: Engine) -> None:
    """10 MB in one attribute, and as much in a list."""
    large = "0123456789" * 1_000_000
    attributes = pairs({"text": text(large), "list": listed(text(large))})
    row = stored_span(engine, request_of(span_of(attributes=attributes)).SerializeToString())
    assert row["SpanAttributes"] == {"text": large, "list": f'["{large}"]'}


@pytest.mark.parametrize("lengths", [(600, 1200), (1200, 600)])
def test_columns_may_become_other_than_they_begin(engine: Engine, lengths: tuple[int, int]) -> None:
    """Room is made for a large column by its first rows; longer or shorter ones follow."""
    request = request_of(
        *(
            span_of(name=name, attributes=pairs({"k": text(f"{index:04}" * (length // 4))}))
            for name, length in zip("ab", lengths, strict=True)
            for index in range(4000)
        )
    )
    expected = {"otel_traces": in_order(reading.trace_rows(request))}
    assert stored(engine, "traces", request.SerializeToString()) == expected


@pytest.mark.parametrize("keys", [255, 256, 257, 65_535, 65_536, 70_000])
def test_many_different_keys(engine: Engine, keys: int) -> None:
    """Where the dictionary's numbers get wider nothing is lost: one, two and four bytes."""
    attributes = pairs({f"key {index}": AnyValue(int_value=index) for index in range(keys)})
    row = stored_span(engine, request_of(span_of(attributes=attributes)).SerializeToString())
    assert row["SpanAttributes"] == {f"key {index}": str(index) for index in range(keys)}


def test_deep_values_are_written(engine: Engine) -> None:
    """As deep as they are taken."""
    body = field(1, field(2, field(2, field(9, nested(64)))))
    row = stored_span(engine, body)
    assert row["SpanAttributes"]["k"] == "[" * 64 + "1" + "]" * 64


def test_fields_may_come_in_any_order(engine: Engine) -> None:
    """Scope and resource after the spans, and in parts, as protobuf allows."""
    request = request_of(span_of(), k=text("v"))
    group = request.resource_spans[0]
    resource, scope = group.resource.SerializeToString(), group.scope_spans[0]
    head = scope.scope.SerializeToString()
    scope.ClearField("scope")
    more = KeyValue(key="m", value=text("w")).SerializeToString()
    late = scope.SerializeToString() + field(1, head)
    body = field(1, field(2, late) + field(1, resource) + field(1, field(1, more)))
    row = stored_span(engine, body)
    assert row["ResourceAttributes"] == {"k": "v", "m": "w"}
    assert (row["ScopeName"], row["ScopeVersion"]) == ("scope", "1.2")


def test_the_same_bodies_give_the_same_block() -> None:
    """Byte for byte, so that a retry is known."""
    bodies = [
        request_of(span_of(name=name, attributes=pairs({name: text(name)}))).SerializeToString()
        for name in "abcdef"
    ]
    assert decode("traces", bodies) == decode("traces", bodies)


@settings(max_examples=400, deadline=None)
@given(st.lists(st.floats(), min_size=20, max_size=20), st.integers(-1074, 1023))
def test_doubles_are_written_shortest(values: list[float], power: int) -> None:
    """Any double, rounded ones, powers of two, their neighbours: Python's own shortest digits."""
    edge = math.ldexp(1.0, power)
    values += [round(value, 4) for value in values]
    values += [edge, math.nextafter(edge, 0), math.nextafter(edge, math.inf)]
    attributes = pairs({str(index): number(value) for index, value in enumerate(values)})
    [block] = decode("traces", [request_of(span_of(attributes=attributes)).SerializeToString()])
    for value in values:
        written = reading.text(number(value)).encode()
        assert bytes([len(written)]) + written in block.body
