"""Read a request's body: bounded before and after decompression."""

import importlib
import sys
import zlib
from collections.abc import Callable
from types import ModuleType
from typing import Any

from anyio.to_thread import run_sync
from starlette.requests import Request

_PIECE_BYTES = 1 << 16
# Senders write one member, or a few; each costs a new decoder.
_MOST_MEMBERS = 64


class TooLargeError(Exception):
    """The body is larger than allowed."""


class EncodingError(Exception):
    """The body's Content-Encoding is unknown, or the body does not follow it."""


async def read_body(request: Request, limit: int) -> bytes:
    """The request's body, decompressed.

    Args:
        request: may carry Content-Encoding gzip, deflate, zstd or lz4 (frame).
        limit: most bytes, before and after decompression.

    Raises:
        TooLargeError: there is more.
        EncodingError: it cannot be decompressed.
    """
    if int(request.headers.get("content-length") or 0) > limit:
        raise TooLargeError
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise TooLargeError
        parts.append(part)
    body = b"".join(parts)
    parts.clear()
    encoding = request.headers.get("content-encoding", "")
    # In a thread: a large body would hold up everything that the event loop serves.
    return await run_sync(decompress, body, encoding, limit) if encoding else body


def decompress(data: bytes, encoding: str, limit: int) -> bytes:
    """Decompress `data` to at most `limit` bytes.

    Raises:
        TooLargeError: there is more.
        EncodingError: the encoding is unknown, or the data is not of it, or has too many members.
    """
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return data
    make = _DECODERS.get(encoding)
    if make is None:
        message = f"Content-Encoding {encoding!r} is not known; use {', '.join(sorted(_DECODERS))}"
        raise EncodingError(message)
    try:
        return _members(data, make, limit)
    except (zlib.error, RuntimeError, ValueError, EOFError, OSError) as error:
        message = f"the body is not {encoding}: {error}"
        raise EncodingError(message) from error


def _members(data: bytes, make: Callable[[], Any], limit: int) -> bytes:
    """Decompress one gzip member, or zstd or lz4 frame, after the other.

    A decoder copies what it was given and did not use, so it is given small pieces: the copies for
    all members together stay small however long the body is.
    """
    if not data:
        return b""
    out, view, at = bytearray(), memoryview(data), 0
    for _ in range(_MOST_MEMBERS):
        decoder = make()
        while not decoder.eof:
            if at == len(data):
                raise EOFError("it ends too early")
            piece = view[at : at + _PIECE_BYTES]
            at += len(piece)
            # Less than was asked for comes out, so nothing of the piece waits for a next call.
            out += decoder.decompress(piece, limit + 1 - len(out))
            if len(out) > limit:
                raise TooLargeError
        at -= len(decoder.unused_data or b"")
        if at == len(data):
            return bytes(out)
    message = f"it has more than {_MOST_MEMBERS} members or frames"
    raise ValueError(message)


def _zlib() -> Any:  # noqa: ANN401  the three decoders have no common type
    # 32 + 15: gzip or zlib header, whichever comes.
    return zlib.decompressobj(32 + zlib.MAX_WBITS)


class _Zstd:
    """A zstd decoder whose error is a ValueError."""

    def __init__(self) -> None:
        self._module = zstd_module()
        self._decoder = self._module.ZstdDecompressor()

    @property
    def eof(self) -> bool:
        return bool(self._decoder.eof)

    @property
    def unused_data(self) -> bytes:
        return bytes(self._decoder.unused_data)

    def decompress(self, data: memoryview, most: int) -> bytes:
        try:
            return bytes(self._decoder.decompress(data, most))
        except self._module.ZstdError as error:
            raise ValueError(str(error)) from error


def zstd_module() -> ModuleType:
    """The standard library's zstd, or its backport."""
    if sys.version_info >= (3, 14):
        return importlib.import_module("compression.zstd")
    return importlib.import_module("backports.zstd")


def _lz4() -> Any:  # noqa: ANN401
    return importlib.import_module("lz4.frame").LZ4FrameDecompressor()


_DECODERS: dict[str, Callable[[], Any]] = {
    "gzip": _zlib,
    "deflate": _zlib,
    "zstd": _Zstd,
    "lz4": _lz4,
}
