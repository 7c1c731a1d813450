"""ClickHouse's own compression: `decompress=1` for a request's body, `compress=1` for an answer.

A frame is a CityHash128 (version 1.0.2) of what follows, 16 bytes; then method, 1 byte; the frame's
size without the hash, 4 bytes; the size of the data, 4 bytes; the compressed data. Numbers are
little-endian. A body is frame after frame (ClickHouse's CompressedReadBufferBase.cpp).
"""

import importlib
import struct
from functools import cache
from typing import Any, NamedTuple, NoReturn

from otel_llm.exporters.clickhouse.errors import EngineError
from otel_llm.exporters.clickhouse.interface.body import TooLargeError, zstd_module

_HASH_BYTES = 16
_HEAD = struct.Struct("<BII")
_NONE, _LZ4, _ZSTD = 0x02, 0x82, 0x90
_FRAME_BYTES = 1 << 20
# A sender that fills its frames stays far below this; each frame costs some microseconds.
_FREE_FRAMES, _BYTES_PER_FRAME = 64, 4096


class _Frame(NamedTuple):
    """A frame whose hash is right.

    Attributes:
        method: how the data is compressed.
        size: bytes of the data.
        packed: the compressed data.
        end: where the next frame begins.
    """

    method: int
    size: int
    packed: memoryview
    end: int


def unframe(data: bytes, limit: int) -> bytes:
    """Undo ClickHouse's compression, methods NONE, LZ4 and ZSTD.

    Args:
        data: whole frames.
        limit: most bytes that may come out.

    Raises:
        TooLargeError: there is more.
        EngineError: 40 for a wrong hash, 89 for an unknown method, 271 for broken data.
    """
    out, view, at, frames = bytearray(), memoryview(data), 0, 0
    while at < len(data):
        frame = _read(view, at)
        if len(out) + frame.size > limit:
            raise TooLargeError
        out += _data(frame)
        at = frame.end
        frames += 1
        if frames > _FREE_FRAMES + len(out) // _BYTES_PER_FRAME:
            _broken("its frames hold next to nothing; fill them")
    return bytes(out)


def frame(data: bytes) -> bytes:
    """Compress with LZ4 into frames of at most 1 MiB of data each."""
    return b"".join(
        _pack(data[start : start + _FRAME_BYTES]) for start in range(0, len(data), _FRAME_BYTES)
    )


def _pack(data: bytes) -> bytes:
    packed: bytes = _lz4().compress(data, store_size=False)
    body = _HEAD.pack(_LZ4, _HEAD.size + len(packed), len(data)) + packed
    return _hash(body) + bytes(body)


def _read(view: memoryview, at: int) -> _Frame:
    head = at + _HASH_BYTES
    if len(view) < head + _HEAD.size:
        _broken("it ends within a frame")
    method, packed, size = _HEAD.unpack_from(view, head)
    end = head + packed
    if packed < _HEAD.size or end > len(view):
        _broken("it ends within a frame")
    if _hash(bytes(view[head:end])) != view[at:head]:
        detail = "Checksum doesn't match: the body was changed on its way, or is not compressed"
        raise EngineError(40, detail, "CHECKSUM_DOESNT_MATCH")
    return _Frame(method, size, view[head + _HEAD.size : end], end)


def _data(frame: _Frame) -> bytes:
    data = _unpacked(frame)
    if len(data) != frame.size:
        _broken("a frame holds less than it says")
    return data


def _unpacked(frame: _Frame) -> bytes:
    if frame.method == _NONE:
        return bytes(frame.packed)
    if frame.method not in (_LZ4, _ZSTD):
        detail = f"Unknown compression method 0x{frame.method:02x}; use LZ4, ZSTD or NONE"
        raise EngineError(89, detail, "UNKNOWN_COMPRESSION_METHOD")
    lz4, zstd = _lz4(), zstd_module()
    try:
        if frame.method == _LZ4:
            return bytes(lz4.decompress(frame.packed, uncompressed_size=frame.size))
        # One byte more than the frame says, so that more shows.
        return bytes(zstd.ZstdDecompressor().decompress(frame.packed, frame.size + 1))
    except (lz4.LZ4BlockError, zstd.ZstdError, MemoryError) as error:
        _broken(str(error))


def _hash(data: bytes) -> bytes:
    number: int = _cityhash().CityHash128(data)
    low, high = number & (1 << 64) - 1, number >> 64
    return struct.pack("<QQ", high, low)


def _broken(what: str) -> NoReturn:
    detail = f"Cannot decompress the body, as decompress=1 asks for: {what}"
    raise EngineError(271, detail, "CANNOT_DECOMPRESS")


@cache
def _lz4() -> Any:  # noqa: ANN401  untyped
    return importlib.import_module("lz4.block")


@cache
def _cityhash() -> Any:  # noqa: ANN401  untyped
    return importlib.import_module("clickhouse_cityhash.cityhash")
