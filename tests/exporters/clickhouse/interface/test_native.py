"""Native blocks for readers of later protocol revisions."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_llm.exporters.clickhouse.engine import Engine
from otel_llm.exporters.clickhouse.errors import EngineError
from otel_llm.exporters.clickhouse.interface.native import (
    BLOCK_INFO,
    CUSTOM_SERIALIZATION,
    as_revision,
)
from otel_llm.exporters.clickhouse.interface.native_types import split_arguments

VALUES = (
    "toUInt8(1)", "toInt256(-1)", "toFloat32(1.5)", "true", "toDate('2026-01-01')",
    "toDate32('2026-01-01')", "toDateTime(0, 'UTC')", "toDateTime64(0, 9, 'UTC')",
    "toUUID('00000000-0000-0000-0000-000000000001')", "toIPv4('1.2.3.4')", "toIPv6('::1')",
    "toDecimal32(1, 2)", "toDecimal64(1, 2)", "toDecimal128(1, 2)", "toDecimal256(1, 2)",
    "CAST('a', 'Enum8(\\'a\\' = 1, \\'b,)\\' = 2)')", "toFixedString('abc', 5)", "'text'", "''",
    "repeat('long', 40)", "repeat('x', 20000)", "toLowCardinality('low')", "toNullable(1)", "NULL",
    "CAST(NULL, 'Nullable(String)')", "[1, 2, 3]", "emptyArrayString()", "[['a'], [], ['b', 'c']]",
    "CAST(map('a', 1, 'b', 2), 'Map(LowCardinality(String), UInt8)')", "map()", "(1, 'a')",
    "CAST((1, 'a'), 'Tuple(a UInt8, `b c, (` String)')", "[(1, [('x', toNullable(2))])]",
    "CAST(map(), 'Map(LowCardinality(String), UInt8)')",
    "CAST([map('a', ['b'])], 'Array(Map(LowCardinality(FixedString(2)), Array(String)))')",
    "CAST(map('a', 'b'), 'Map(LowCardinality(String), LowCardinality(Nullable(String)))')",
    "CAST(map('a', number), 'Map(LowCardinality(String), UInt64)')",
    "INTERVAL 1 DAY", "CAST(1, 'SimpleAggregateFunction(sum, UInt64)')",
)  # fmt: skip


def block_of(engine: Engine, sql: str) -> bytes:
    """A Native block of revision 0."""
    with engine.session() as handle:
        return b"".join(handle.stream(sql, "Native"))


def expected(columns: list[bytes], rows: int) -> bytes:
    """The block that a server would send: each column's header, a zero byte, its data.

    Args:
        columns: blocks of revision 0 that hold one column each.
        rows: rows in each.
    """
    out = BLOCK_INFO + bytes([len(columns), rows])
    for column in columns:
        assert column[:2] == bytes([1, rows])
        name_end = 3 + column[2]
        header_end = name_end + 1 + column[name_end]
        out += column[2:header_end] + b"\0" + column[header_end:]
    return out


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(VALUES), min_size=1, max_size=5), st.integers(1, 5))
def test_columns_of_any_types_are_told_apart(engine: Engine, values: list[str], rows: int) -> None:
    """A block of many columns becomes what single columns, put together, make."""
    named = [f"{value} AS c{number}" for number, value in enumerate(values)]
    single = [block_of(engine, f"SELECT {each} FROM numbers({rows})") for each in named]
    whole = block_of(engine, f"SELECT {', '.join(named)} FROM numbers({rows})")
    made = list(as_revision(iter([whole]), CUSTOM_SERIALIZATION))
    assert made == [expected(single, rows)]


def test_two_blocks_in_one_piece(engine: Engine) -> None:
    """Each block gets its own block info."""
    one = block_of(engine, "SELECT 'a' AS a")
    assert list(as_revision(iter([one + one]), CUSTOM_SERIALIZATION)) == [expected([one], 1) * 2]


def test_earlier_revisions(engine: Engine) -> None:
    """Without revision nothing changes; before 54454 there is block info alone."""
    block = block_of(engine, "SELECT 1 AS a")
    assert list(as_revision(iter([block]), 0)) == [block]
    assert list(as_revision(iter([block]), CUSTOM_SERIALIZATION - 1)) == [BLOCK_INFO + block]
    assert list(as_revision(iter([b""]), CUSTOM_SERIALIZATION)) == [b""]


def test_a_type_that_cannot_be_walked_is_an_error(engine: Engine) -> None:
    """The error names the type and says what to do."""
    block = block_of(engine, "SELECT sumState(number) AS s FROM numbers(3)")
    with pytest.raises(EngineError, match=r"AggregateFunction\(sum, UInt64\) cannot be sent"):
        list(as_revision(iter([block]), CUSTOM_SERIALIZATION))


def test_a_walk_that_ends_elsewhere_is_an_error(engine: Engine) -> None:
    """A block that is not what it says is never sent on."""
    block = block_of(engine, "SELECT 'abc' AS a")
    with pytest.raises((EngineError, IndexError)):
        list(as_revision(iter([block[:-1]]), CUSTOM_SERIALIZATION))


@pytest.mark.parametrize(
    ("inside", "parts"),
    [
        ("String", ["String"]),
        ("String, Map(String, UInt8)", ["String", "Map(String, UInt8)"]),
        ("`a, (` String, b Enum8('x,)' = 1)", ["`a, (` String", "b Enum8('x,)' = 1)"]),
        ("sum, UInt64", ["sum", "UInt64"]),
    ],
)
def test_arguments_are_split(inside: str, parts: list[str]) -> None:
    """Brackets and quotes hide their commas."""
    assert split_arguments(inside) == parts
