"""Native blocks for readers of a protocol revision.

chDB writes Native of revision 0. A reader of a later revision expects before each block its block
info, and from revision 54454 on a byte after each column's type that says how it is serialized.
To find where a column ends, its data must be walked: nothing in a block says how long it is.
"""

from collections.abc import Iterator

from otel_llm.exporters.clickhouse.errors import EngineError
from otel_llm.exporters.clickhouse.interface.native_types import Walker, column_walker

# is_overflows = 0, bucket_num = -1, end of the fields.
BLOCK_INFO = b"\x01\x00\x02\xff\xff\xff\xff\x00"
CUSTOM_SERIALIZATION = 54454
_NOT_CUSTOM = b"\x00"


def as_revision(blocks: Iterator[bytes], revision: int) -> Iterator[bytes]:
    """Rewrite Native blocks of revision 0 for a reader of `revision`.

    Raises:
        EngineError: a column's type cannot be walked, and the revision asks for it.
    """
    for block in blocks:
        if revision <= 0 or not block:
            yield block
        elif revision < CUSTOM_SERIALIZATION:
            yield BLOCK_INFO + block
        else:
            yield b"".join(_with_serialization(memoryview(block)))


def _with_serialization(data: memoryview) -> Iterator[bytes | memoryview]:
    walkers: dict[str, Walker] = {}
    at = 0
    while at < len(data):
        start = at
        columns, at = varint(data, at)
        rows, at = varint(data, at)
        yield BLOCK_INFO
        yield data[start:at]
        for _ in range(columns):
            start = at
            size, at = varint(data, at)
            size, at = varint(data, at + size)
            kind = bytes(data[at : at + size]).decode()
            at += size
            yield data[start:at]
            yield _NOT_CUSTOM
            start = at
            at = walkers.setdefault(kind, column_walker(kind))(data, at, rows) if rows else at
            yield data[start:at]
    if at != len(data):
        raise EngineError(1002, "a Native block does not end where it should", "UNKNOWN_EXCEPTION")


def varint(data: memoryview, at: int) -> tuple[int, int]:
    """Read a variable-length number; return it and the position after it."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
