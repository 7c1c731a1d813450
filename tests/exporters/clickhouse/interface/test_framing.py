"""ClickHouse's own compression frames."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_llm.exporters.clickhouse.errors import EngineError
from otel_llm.exporters.clickhouse.interface import framing
from otel_llm.exporters.clickhouse.interface.body import TooLargeError, zstd_module
from otel_llm.exporters.clickhouse.interface.framing import frame, unframe

LIMIT = 1 << 24


def made(method: int, size: int, packed: bytes) -> bytes:
    """A frame with a right hash around anything."""
    body = struct.pack("<BII", method, 9 + len(packed), size) + packed
    return framing._hash(body) + body


@given(st.lists(st.binary(max_size=2000), max_size=5))
def test_what_is_framed_comes_out(parts: list[bytes]) -> None:
    """Frames one after the other are one body."""
    assert unframe(b"".join(map(frame, parts)), LIMIT) == b"".join(parts)


def test_large_data_becomes_frames_of_a_mebibyte() -> None:
    """A reader needs to hold one frame, not the whole."""
    data = bytes(5 << 19)
    packed = frame(data)
    sizes = []
    at = 0
    while at < len(packed):
        _, length, size = struct.unpack_from("<BII", packed, at + 16)
        sizes.append(size)
        at += 16 + length
    assert sizes == [1 << 20, 1 << 20, 1 << 19]
    assert unframe(packed, LIMIT) == data


@pytest.mark.parametrize(
    "packed",
    [made(0x02, 5, b"plain"), made(0x90, 5, zstd_module().compress(b"plain"))],
    ids=["none", "zstd"],
)
def test_the_other_methods_are_read(packed: bytes) -> None:
    """NONE and ZSTD come from clients that choose them."""
    assert unframe(packed, LIMIT) == b"plain"


@given(st.integers(0, 200), st.integers(1, 255))
def test_a_changed_byte_is_seen(at: int, change: int) -> None:
    """Whichever byte of a frame is another, nothing comes out."""
    packed = bytearray(frame(b"text that compresses, text that compresses"))
    packed[at % len(packed)] ^= change
    with pytest.raises(EngineError) as caught:
        unframe(bytes(packed), LIMIT)
    assert caught.value.code in (40, 271)


@pytest.mark.parametrize("cut", [1, 15, 20, 26])
def test_a_cut_body_is_an_error(cut: int) -> None:
    """A body that ends within a frame stores nothing."""
    with pytest.raises(EngineError) as caught:
        unframe(frame(b"whole") + frame(b"cut off")[:cut], LIMIT)
    assert caught.value.code in (40, 271)


@pytest.mark.parametrize(
    ("packed", "code"),
    [
        (made(0x91, 5, b"plain"), 89),
        (made(0x02, 6, b"plain"), 271),
        (made(0x90, 4, zstd_module().compress(b"plain")), 271),
        (made(0x82, 5, b"\xff" * 9), 271),
        (made(0x90, 5, b"not zstd"), 271),
        (struct.pack("<16xBII", 0x82, 3, 5), 271),
    ],
)
def test_frames_that_lie_are_errors(packed: bytes, code: int) -> None:
    """A right hash does not make a frame right."""
    with pytest.raises(EngineError) as caught:
        unframe(packed, LIMIT)
    assert caught.value.code == code


def test_the_limit_holds_before_anything_is_unpacked() -> None:
    """A frame that says it is large is not unpacked; the limit is of all frames together."""
    with pytest.raises(TooLargeError):
        unframe(made(0x82, 1 << 31, b""), LIMIT)
    packed = frame(b"x" * 100)
    assert len(unframe(packed * 3, 300)) == 300
    with pytest.raises(TooLargeError):
        unframe(packed * 3, 299)


def test_frames_of_nothing_are_refused() -> None:
    """A body of tiny frames costs no more than a bound."""
    assert unframe(frame(b"x") * 64, LIMIT) == b"x" * 64
    with pytest.raises(EngineError, match="next to nothing"):
        unframe(frame(b"x") * 65, LIMIT)
