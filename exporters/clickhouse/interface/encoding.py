"""Compress an answer: as the caller accepts it over HTTP, or in ClickHouse's own frames."""

import importlib
import zlib
from collections.abc import Callable
from typing import NamedTuple

from otel_llm.exporters.clickhouse.interface.body import zstd_module
from otel_llm.exporters.clickhouse.interface.framing import frame

_GZIP_LEVEL = 3
"""ClickHouse's default of http_zlib_compression_level."""


class Encoder(NamedTuple):
    """One answer's compression.

    Attributes:
        name: value of Content-Encoding, or None.
        add: bytes to send for some bytes of the answer, which a reader can use at once.
        finish: bytes to send at the end.
        covers_errors: whether an error after the first byte goes through it too. In ClickHouse's
            own framing it does not: readers look for its mark in the bytes as they come.
    """

    name: str | None
    add: Callable[[bytes], bytes]
    finish: Callable[[], bytes]
    covers_errors: bool = True


def choose(accepted: str, framed: bool, level: int = _GZIP_LEVEL) -> Encoder:
    """The compression of an answer.

    Args:
        accepted: the request's Accept-Encoding; empty where the caller turned compression off.
        framed: the caller asked for `compress=1`. This goes before Accept-Encoding.
        level: of gzip and deflate, 1 to 9.
    """
    if framed:
        return Encoder(None, frame, bytes, covers_errors=False)
    names = _names(accepted)
    # The cheapest first.
    for name, make in (("zstd", _zstd), ("lz4", _lz4), ("gzip", _zlib), ("deflate", _zlib)):
        if name in names:
            return make(name, level)
    return Encoder(None, _same, bytes)


def _names(accepted: str) -> set[str]:
    """The encodings of an Accept-Encoding header, without those that it rules out."""
    names = set()
    for part in accepted.lower().split(","):
        name, *parameters = (piece.strip() for piece in part.split(";"))
        if not any(_is_zero(parameter) for parameter in parameters):
            names.add(name)
    return names


def _is_zero(parameter: str) -> bool:
    key, _, value = parameter.partition("=")
    return key.strip() == "q" and not value.strip().strip("0.")


def _same(data: bytes) -> bytes:
    return data


def _zlib(name: str, level: int) -> Encoder:
    window = zlib.MAX_WBITS + (16 if name == "gzip" else 0)
    packer = zlib.compressobj(level, wbits=window)
    return Encoder(
        name,
        lambda data: packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH),
        packer.flush,
    )


def _zstd(name: str, _level: int) -> Encoder:
    packer = zstd_module().ZstdCompressor()
    return Encoder(
        name, lambda data: bytes(packer.compress(data, packer.FLUSH_BLOCK)), packer.flush
    )


def _lz4(name: str, _level: int) -> Encoder:
    packer = importlib.import_module("lz4.frame").LZ4FrameCompressor(auto_flush=True)
    # The frame's head goes with the first bytes.
    head = [bytes(packer.begin())]

    def add(data: bytes) -> bytes:
        return (head.pop() if head else b"") + bytes(packer.compress(data))

    return Encoder(name, add, lambda: (head.pop() if head else b"") + bytes(packer.flush()))
