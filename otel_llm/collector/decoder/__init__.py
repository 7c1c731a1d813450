"""OTLP requests as blocks of ClickHouse's Native format, by a small decoder in C.

A body is checked once when it arrives, and decoded later together with others. Both release the
interpreter's lock. What the rows hold is what the collector's `clickhouseexporter` writes.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Literal, NamedTuple

from otel_llm.collector.decoder import _native
from otel_llm.collector.decoder.errors import MalformedError

__all__ = [
    "COLUMNS", "Checked", "MalformedError", "NativeBlock", "Signal", "check", "decode", "from_json",
]  # fmt: skip

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


class Checked(NamedTuple):
    """What a request holds.

    Attributes:
        items: its spans, log records or data points.
        rejected: those of them that `decode` leaves out: an id in them has a wrong length, or a
            time is after the year 2262.
        expanded: most bytes that its rows will take, each with its resource and scope.
    """

    items: int
    rejected: int
    expanded: int


def check(signal: Signal, body: bytes) -> Checked:
    """Walk a request without decoding it; little memory is taken, however much it would expand to.

    Args:
        signal: which request it is.
        body: a serialized Export{Trace,Logs,Metrics}ServiceRequest.

    Raises:
        MalformedError: it is no such request, or values in it are nested more than 64 deep.
    """
    return Checked(*_native.check(_NUMBERS[signal], body))


def decode(signal: Signal, bodies: Sequence[bytes]) -> list[NativeBlock]:
    """The rows of many requests: one block for each table that gets any.

    The same bodies give the same blocks, byte for byte. While it runs it takes up to three times
    the sum of their `expanded`.

    Args:
        signal: which requests they are.
        bodies: serialized requests that `check` has passed.

    Raises:
        MalformedError: one of them is no such request.
    """
    return [NativeBlock(*block) for block in _native.decode(_NUMBERS[signal], tuple(bodies))]


def from_json(signal: Signal, body: bytes) -> bytes:
    """JSON to protobuf."""
    raise MalformedError(signal, f"JSON of {len(body)} bytes is not read yet")
