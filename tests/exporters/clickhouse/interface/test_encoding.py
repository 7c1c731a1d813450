"""How an answer is compressed."""

import gzip
import importlib
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_llm.exporters.clickhouse.interface.body import zstd_module
from otel_llm.exporters.clickhouse.interface.encoding import choose
from otel_llm.exporters.clickhouse.interface.framing import unframe

UNPACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
    "zstd": zstd_module().decompress,
    "lz4": importlib.import_module("lz4.frame").decompress,
}


@pytest.mark.parametrize("name", UNPACK)
@given(parts=st.lists(st.binary(max_size=500), max_size=6))
def test_a_stream_comes_out_whole(name: str, parts: list[bytes]) -> None:
    """However many blocks an answer has, also none, it is one valid body."""
    packing = choose(name, framed=False)
    packed = b"".join(map(packing.add, parts)) + packing.finish()
    assert packing.name == name
    assert UNPACK[name](packed) == b"".join(parts)


@pytest.mark.parametrize("name", ["gzip", "deflate"])
def test_each_block_can_be_read_at_once(name: str) -> None:
    """A reader of a stream does not wait for the next block."""
    packing = choose(name, framed=False)
    reader = zlib.decompressobj(32 + zlib.MAX_WBITS)
    for block in (b"first", b"second"):
        assert reader.decompress(packing.add(block)) == block


@pytest.mark.parametrize(
    ("accepted", "name"),
    [
        ("", None),
        ("identity", None),
        ("br", None),
        ("gzip", "gzip"),
        ("deflate, gzip;q=0.5", "gzip"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("ZSTD;q=0, lz4", "lz4"),
        ("gzip; q=0.0", None),
    ],
)
def test_the_cheapest_that_is_accepted_is_used(accepted: str, name: str | None) -> None:
    """What the caller rules out, or does not name, is not used."""
    assert choose(accepted, framed=False).name == name


def test_clickhouse_frames_go_first() -> None:
    """Who asks for frames gets frames alone: its reader expects nothing around them."""
    packing = choose("gzip", framed=True)
    assert packing.name is None
    packed = packing.add(b"one") + packing.add(b"two") + packing.finish()
    assert unframe(packed, 1 << 20) == b"onetwo"
