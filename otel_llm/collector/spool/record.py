"""One request as a record of a segment: a head of fixed size, then the request's bytes.

The head carries its own checksum, so that a length is never believed that was not written; the
request carries a digest, which also tells a request that is sent again.
"""

import hashlib
import struct
import zlib
from typing import NamedTuple

from otel_llm.collector.decoder import EVER, Checked, Signal, Window

SIGNALS: tuple[Signal, ...] = ("traces", "logs", "metrics")
MAGIC = b"OTLR"
# Magic, signal, length, items, bytes of its rows, digest, window; then the CRC-32 of these.
_FIELDS = struct.Struct("<4sBxxxIIQ16sQQ")
_CRC = struct.Struct("<I")
HEAD_BYTES = _FIELDS.size + _CRC.size
DIGEST_BYTES = 16


class Entry(NamedTuple):
    """A request as it is spooled.

    Attributes:
        signal: `traces`, `logs` or `metrics`.
        items: spans, log records or data points in it.
        expanded: bytes that its rows take at most.
        digest: 16 bytes that tell this request from others.
        body: the request in protobuf.
        window: the times that were taken when it came: it is decoded with the same, whenever.
    """

    signal: Signal
    items: int
    expanded: int
    digest: bytes
    body: bytes
    window: Window = EVER

    def head(self) -> bytes:
        """The head of its record."""
        number = SIGNALS.index(self.signal)
        fields = (MAGIC, number, len(self.body), self.items, self.expanded, self.digest)
        packed = _FIELDS.pack(*fields, *self.window)
        return packed + _CRC.pack(zlib.crc32(packed))

    @property
    def size(self) -> int:
        """Bytes of its record."""
        return HEAD_BYTES + len(self.body)


class Head(NamedTuple):
    """A head that was read. Attributes as of `Entry`, with the body's length in its place."""

    signal: Signal
    length: int
    items: int
    expanded: int
    digest: bytes
    window: Window


def entry_of(signal: Signal, body: bytes, checked: Checked, window: Window = EVER) -> Entry:
    """The entry of a request that was checked; `items` are those of it that are kept."""
    items, expanded = checked.items - checked.rejected, checked.expanded
    return Entry(signal, items, expanded, digest_of(signal, body), body, window)


def digest_of(signal: Signal, body: bytes | memoryview) -> bytes:
    """16 bytes of the SHA-256 of signal and body."""
    digest = hashlib.sha256(signal.encode())
    digest.update(body)
    return digest.digest()[:DIGEST_BYTES]


def read_head(data: memoryview) -> Head | None:
    """The head at the start of `data`; None if it is cut off or damaged."""
    if len(data) < HEAD_BYTES:
        return None
    packed = data[: _FIELDS.size]
    if _CRC.unpack_from(data, _FIELDS.size)[0] != zlib.crc32(packed):
        return None
    magic, number, length, items, expanded, digest, *window = _FIELDS.unpack(packed)
    if magic != MAGIC or number >= len(SIGNALS):
        return None
    return Head(SIGNALS[number], length, items, expanded, digest, Window(*window))
