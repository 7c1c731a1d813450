"""Decompression of request bodies: what comes out, and what it may cost."""

import gzip
import importlib
import random
import threading
import time
import zlib
from collections.abc import Callable

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.types import Message

from otel_llm.exporters.clickhouse.interface import body as module
from otel_llm.exporters.clickhouse.interface.body import (
    EncodingError,
    TooLargeError,
    decompress,
    read_body,
)

PACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "zstd": module.zstd_module().compress,
    "lz4": importlib.import_module("lz4.frame").compress,
}
encodings = pytest.mark.parametrize("encoding", PACK)
LIMIT = 1 << 22


@encodings
@settings(max_examples=25, deadline=None)
@given(members=st.lists(st.binary(max_size=300), min_size=1, max_size=5), size=st.integers(1, 40))
def test_members_in_small_pieces_come_out_whole(
    encoding: str, members: list[bytes], size: int
) -> None:
    """Wherever a piece ends, the text of all members comes out in order."""
    packed = b"".join(map(PACK[encoding], members))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_PIECE_BYTES", size)
        assert decompress(packed, encoding, LIMIT) == b"".join(members)


@encodings
def test_the_limit_is_exact(encoding: str) -> None:
    """As many bytes as allowed come out; one more is too large, in one member or over several."""
    packed = PACK[encoding](b"x" * 100_000)
    assert len(decompress(packed * 3, encoding, 300_000)) == 300_000
    for times, limit in ((1, 99_999), (3, 299_999)):
        with pytest.raises(TooLargeError):
            decompress(packed * times, encoding, limit)


@encodings
def test_no_body_is_no_error(encoding: str) -> None:
    """A request without a body may still name an encoding."""
    assert decompress(b"", encoding, LIMIT) == b""


@encodings
def test_many_members_are_refused(encoding: str) -> None:
    """64 members are read, 65 are not."""
    packed = PACK[encoding](b"x")
    assert decompress(packed * 64, encoding, LIMIT) == b"x" * 64
    with pytest.raises(EncodingError, match="more than 64 members"):
        decompress(packed * 65, encoding, LIMIT)


@encodings
def test_a_body_of_empty_members_costs_little(encoding: str) -> None:
    """The members before the bound do not copy the rest of a body of 100,000 each."""
    packed = PACK[encoding](b"") * 100_000
    begun = time.thread_time()
    with pytest.raises(EncodingError):
        decompress(packed, encoding, LIMIT)
    assert time.thread_time() - begun < 0.5


@encodings
def test_a_decoder_is_given_small_pieces(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No call takes more than 64 KiB of the body, so no copy of unused bytes is larger."""
    make, sizes = module._DECODERS[encoding], []

    class Watched:
        def __init__(self) -> None:
            self.decoder = make()

        def __getattr__(self, name: str) -> object:
            return getattr(self.decoder, name)

        def decompress(self, data: memoryview, most: int) -> bytes:
            sizes.append(len(data))
            return bytes(self.decoder.decompress(data, most))

    monkeypatch.setitem(module._DECODERS, encoding, Watched)
    data = random.Random(1).randbytes(1 << 20)
    assert decompress(PACK[encoding](data), encoding, LIMIT) == data
    assert max(sizes) == 1 << 16


def test_decompression_leaves_the_event_loop_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """It runs in another thread than the loop."""
    seen: list[threading.Thread] = []
    make = module._DECODERS["gzip"]

    def watched() -> object:
        seen.append(threading.current_thread())
        return make()

    monkeypatch.setitem(module._DECODERS, "gzip", watched)

    async def receive() -> Message:
        return {"type": "http.request", "body": gzip.compress(b"text"), "more_body": False}

    scope = {"type": "http", "headers": [(b"content-encoding", b"gzip")]}
    assert anyio.run(read_body, Request(scope, receive), LIMIT) == b"text"
    assert seen
    assert threading.current_thread() not in seen
