"""OTLP requests as blocks of ClickHouse's Native format, by a small decoder in C.

A body is checked once when it arrives, and decoded later together with others. Both release the
interpreter's lock. What the rows hold is what the collector's `clickhouseexporter` writes.
"""

import sys
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Literal, NamedTuple

from otel_llm.collector.decoder import _native
from otel_llm.collector.decoder.errors import MalformedError, OversizeError

__all__ = [
    "COLUMNS",
    "EVER",
    "Checked",
    "MalformedError",
    "NativeBlock",
    "OversizeError",
    "Signal",
    "Window",
    "check",
    "decode",
    "from_json",
]

Signal = Literal["traces", "logs", "metrics"]

_NUMBERS: dict[Signal, int] = {"traces": 0, "logs": 1, "metrics": 2}

COLUMNS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {table: tuple(name for name, _type in each) for table, each in _native.columns().items()}
)
"""Names of the columns of each table, in the order they are written."""


class NativeBlock(NamedTuple):
    """Rows of one table.

    Attributes:
        table: its name.
        rows: at least one.
        body: one block of `FORMAT Native` (revision 0), with the columns `COLUMNS[table]`.
    """

    table: str
    rows: int
    body: bytes


class Window(NamedTuple):
    """Times of the items that are kept.

    A span's is its start, a data point's its own, a record's too, or when it was observed if it has
    none.

    Attributes:
        oldest_ns: nanoseconds since 1970, inclusive.
        newest_ns: the same, inclusive.
    """

    oldest_ns: int
    newest_ns: int


EVER = Window(0, 2**63 - 1)
"""Keeps every time that a row can hold."""


class Checked(NamedTuple):
    """What a request holds.

    Attributes:
        items: its spans, log records or data points.
        rejected: those of them that `decode` leaves out: an id in them has a wrong length, a time
            is after the year 2262, or they are outside of the window.
        expanded: most bytes that its rows will take, each with its resource and scope, and what
            every item, rejected or not, takes while it waits to be decoded.
        outside: those of `rejected` that only the window leaves out.
    """

    items: int
    rejected: int
    expanded: int
    outside: int = 0


def check(signal: Signal, body: bytes, window: Window = EVER) -> Checked:
    """Walk a request without decoding it; little memory is taken, however much it would expand to.

    Args:
        signal: which request it is.
        body: a serialized Export{Trace,Logs,Metrics}ServiceRequest.
        window: items with other times are rejected.

    Raises:
        MalformedError: it is no such request, or values in it are nested more than 64 deep.
    """
    return Checked(*_native.check(_NUMBERS[signal], body, *window))


def decode(
    signal: Signal, bodies: Sequence[bytes], windows: Sequence[Window] | None = None
) -> list[NativeBlock]:
    """The rows of many requests: one block for each table that gets any.

    The same bodies and windows give the same blocks, byte for byte. While it runs it takes up to
    three times the sum of their `expanded`, and of the bodies themselves.

    Args:
        signal: which requests they are.
        bodies: serialized requests that `check` has passed.
        windows: one for each body, with which it was checked; `EVER` for all without them.

    Raises:
        MalformedError: one of them is no such request.
        ValueError: there are not as many windows as bodies.
    """
    all_windows = (EVER,) * len(bodies) if windows is None else tuple(windows)
    blocks = _native.decode(_NUMBERS[signal], tuple(bodies), all_windows)
    return [NativeBlock(*block) for block in blocks]


def from_json(signal: Signal, body: bytes, limit: int = sys.maxsize) -> bytes:
    """The protobuf of an OTLP/JSON request, as far as rows are made of it.

    Ids are hex, 64-bit integers strings or numbers, enums numbers or names, other bytes base64.
    Members that the message does not have are passed over.

    Args:
        signal: which request it is.
        body: JSON in UTF-8.
        limit: most bytes of the protobuf. Beyond it no more is made than one value.

    Raises:
        MalformedError: it is no JSON, or a member is not of its field's kind.
        OversizeError: the protobuf takes more than `limit`.

    Source: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
    """
    return _native.from_json(_NUMBERS[signal], body, limit)
