"""How long a column's data is in Native of revision 0, by its type."""

import re
from collections.abc import Callable

from otel_llm.exporters.clickhouse.errors import EngineError

Walker = Callable[[memoryview, int, int], int]
"""From (data, start, rows) to the end of the column."""

_WIDTHS = {
    **dict.fromkeys(("UInt8", "Int8", "Bool", "Enum8", "Nothing"), 1),
    **dict.fromkeys(("UInt16", "Int16", "Date", "Enum16", "BFloat16"), 2),
    **dict.fromkeys(
        ("UInt32", "Int32", "Float32", "Date32", "DateTime", "IPv4", "Decimal32", "Time"), 4
    ),
    **dict.fromkeys(("UInt64", "Int64", "Float64", "DateTime64", "Decimal64", "Time64"), 8),
    **dict.fromkeys(("UInt128", "Int128", "UUID", "IPv6", "Decimal128"), 16),
    **dict.fromkeys(("UInt256", "Int256", "Decimal256"), 32),
}
_DECIMAL_WIDTHS = ((9, 4), (18, 8), (38, 16), (76, 32))
_ADDITIONAL_KEYS = 0x200
_NAMED = re.compile(r"(?:`(?:\\.|[^`\\])*`|[A-Za-z_]\w*) (?=[A-Z])")


def column_walker(kind: str) -> Walker:
    """The walker of a column of a ClickHouse type.

    Raises:
        EngineError: the type's data cannot be walked.
    """
    walk = walker_of(kind)
    # Each LowCardinality puts its version before everything else.
    versions = 8 * kind.count("LowCardinality(")
    return lambda data, at, rows: walk(data, at + versions, rows)


def walker_of(kind: str) -> Walker:
    """The walker of values of a ClickHouse type, without what stands before them.

    Raises:
        EngineError: the type's data cannot be walked.
    """
    name, _, inside = kind.partition("(")
    inside = inside.removesuffix(")")
    if name in _WIDTHS or name.startswith("Interval"):
        return _fixed(_WIDTHS.get(name, 8))
    if name == "Decimal":
        precision = int(inside.partition(",")[0])
        return _fixed(next(width for most, width in _DECIMAL_WIDTHS if precision <= most))
    if name == "FixedString":
        return _fixed(int(inside))
    made = _COMPOSED.get(name)
    if made is None:
        detail = f"a column of type {kind} cannot be sent in this Native revision; cast it"
        raise EngineError(48, detail, "NOT_IMPLEMENTED")
    return made(inside)


def split_arguments(inside: str) -> list[str]:
    """Split a type's arguments at the commas that stand in no bracket and no quote."""
    parts, depth, start, quote = [], 0, 0, ""
    for at, char in enumerate(inside):
        if quote:
            # A backslash before a quote is the only escape that matters here.
            quote = "" if char == quote and inside[at - 1] != "\\" else quote
        elif char in "'`":
            quote = char
        elif char == "," and depth == 0:
            parts.append(inside[start:at].strip())
            start = at + 1
        else:
            depth += {"(": 1, ")": -1}.get(char, 0)
    parts.append(inside[start:].strip())
    return parts


def _fixed(width: int) -> Walker:
    return lambda _data, at, rows: at + width * rows


def _string(_inside: str) -> Walker:
    def walk(data: memoryview, at: int, rows: int) -> int:
        for _ in range(rows):
            size = data[at]
            at += 1
            if size > 0x7F:
                size &= 0x7F
                shift = 7
                while True:
                    byte = data[at]
                    at += 1
                    size |= (byte & 0x7F) << shift
                    if byte < 0x80:
                        break
                    shift += 7
            at += size
        return at

    return walk


def _nullable(inside: str) -> Walker:
    inner = walker_of(inside)
    return lambda data, at, rows: inner(data, at + rows, rows)


def _array(inside: str) -> Walker:
    return _array_of(walker_of(inside))


def _array_of(inner: Walker) -> Walker:
    def walk(data: memoryview, at: int, rows: int) -> int:
        at += 8 * rows
        return inner(data, at, int.from_bytes(data[at - 8 : at], "little"))

    return walk


def _tuple(inside: str) -> Walker:
    inner = [walker_of(_NAMED.sub("", part, count=1)) for part in split_arguments(inside)]

    def walk(data: memoryview, at: int, rows: int) -> int:
        for each in inner:
            at = each(data, at, rows)
        return at

    return walk


def _map(inside: str) -> Walker:
    return _array_of(_tuple(inside))


def _low_cardinality(inside: str) -> Walker:
    nullable = inside.startswith("Nullable(")
    keys = walker_of(inside[len("Nullable(") : -1] if nullable else inside)

    def walk(data: memoryview, at: int, rows: int) -> int:
        if not rows:
            return at
        flags, at = _number(data, at)
        if flags & _ADDITIONAL_KEYS:
            count, at = _number(data, at)
            at = keys(data, at, count)
        count, at = _number(data, at)
        return at + (count << (flags & 0xFF))

    return walk


def _number(data: memoryview, at: int) -> tuple[int, int]:
    return int.from_bytes(data[at : at + 8], "little"), at + 8


def _aggregated(inside: str) -> Walker:
    return walker_of(split_arguments(inside)[-1])


_COMPOSED: dict[str, Callable[[str], Walker]] = {
    "Array": _array,
    "LowCardinality": _low_cardinality,
    "Map": _map,
    "Nested": _map,
    "Nullable": _nullable,
    "SimpleAggregateFunction": _aggregated,
    "String": _string,
    "Tuple": _tuple,
}
