"""Read a request's body: bounded before and after decompression."""

import importlib
import sys
import zlib
from collections.abc import Callable, Iterator
from types import ModuleType

from starlette.requests import Request


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
    return decompress(b"".join(parts), request.headers.get("content-encoding", ""), limit)


def decompress(data: bytes, encoding: str, limit: int) -> bytes:
    """Decompress `data` to at most `limit` bytes.

    Raises:
        TooLargeError: there is more.
        EncodingError: the encoding is unknown or the data is not of it.
    """
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return data
    steps = _STEPS.get(encoding)
    if steps is None:
        message = f"Content-Encoding {encoding!r} is not known; use {', '.join(sorted(_STEPS))}"
        raise EncodingError(message)
    out = bytearray()
    try:
        for part in steps(data, limit + 1):
            out += part
            if len(out) > limit:
                raise TooLargeError
    except (zlib.error, RuntimeError, ValueError, EOFError, OSError) as error:
        message = f"the body is not {encoding}: {error}"
        raise EncodingError(message) from error
    return bytes(out)


def _zlib(data: bytes, most: int) -> Iterator[bytes]:
    # 32 + 15: gzip or zlib header, whichever comes.
    while data:
        decoder = zlib.decompressobj(32 + zlib.MAX_WBITS)
        yield decoder.decompress(data, most)
        if decoder.unconsumed_tail:
            return
        if not decoder.eof:
            raise EOFError("it ends too early")
        data = decoder.unused_data


def _zstd(data: bytes, most: int) -> Iterator[bytes]:
    zstd = _zstd_module()
    while data:
        decoder = zstd.ZstdDecompressor()
        try:
            yield decoder.decompress(data, most)
        except zstd.ZstdError as error:
            raise ValueError(str(error)) from error
        if not decoder.eof:
            if decoder.needs_input:
                raise EOFError("it ends too early")
            return
        data = decoder.unused_data


def _zstd_module() -> ModuleType:
    if sys.version_info >= (3, 14):
        return importlib.import_module("compression.zstd")
    return importlib.import_module("backports.zstd")


def _lz4(data: bytes, most: int) -> Iterator[bytes]:
    lz4_frame = importlib.import_module("lz4.frame")
    while data:
        decoder = lz4_frame.LZ4FrameDecompressor()
        yield decoder.decompress(data, most)
        if not decoder.eof:
            if decoder.needs_input:
                raise EOFError("it ends too early")
            return
        data = decoder.unused_data or b""


_STEPS: dict[str, Callable[[bytes, int], Iterator[bytes]]] = {
    "gzip": _zlib,
    "deflate": _zlib,
    "zstd": _zstd,
    "lz4": _lz4,
}
