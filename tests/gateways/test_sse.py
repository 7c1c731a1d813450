"""Events are the same however the bytes are cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_llm.gateways import sse
from otel_llm.gateways.sse import EventSplitter

STREAM = (
    b'data: {"a": 1}\n\ndata:two\r\n\r\n: comment\nid: 7\n\n'
    b"data: x\ndata:  y\r\rdata\n\ndata: z\n\n"
)
EVENTS = [b'{"a": 1}', b"two", b"x\n y", b"", b"z"]


def _events(pieces: list[bytes]) -> list[bytes]:
    splitter = EventSplitter()
    return [event for piece in pieces for event in splitter.feed(piece)]


def _reference(stream: bytes) -> list[bytes]:
    """The standard's algorithm on the whole stream, line by line."""
    events, data = [], []
    lines = stream.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    for line in lines[:-1]:
        name, _, value = line.partition(b":")
        if line and name == b"data":
            data.append(value[1:] if value.startswith(b" ") else value)
        elif not line and data:
            events.append(b"\n".join(data))
            data = []
    return events


def test_whole() -> None:
    """One piece with several events gives all of them, comments and other fields give none."""
    assert _events([STREAM]) == EVENTS


@pytest.mark.parametrize("cut", range(len(STREAM) + 1))
def test_cut_anywhere(cut: int) -> None:
    """A cut at any byte changes nothing."""
    assert _events([STREAM[:cut], STREAM[cut:]]) == EVENTS


def test_byte_by_byte() -> None:
    """Single bytes give the same events."""
    assert _events([bytes([byte]) for byte in STREAM]) == EVENTS


@given(
    st.lists(st.sampled_from([b"data: a", b"data:", b"x", b":", b"\n", b"\r", b"\r\n", b"d"])),
    st.lists(st.integers(0, 40)),
)
def test_any_stream_any_cuts(parts: list[bytes], lengths: list[int]) -> None:
    """Any stream in any pieces gives what the standard's algorithm gives for the whole."""
    stream = b"".join(parts)
    pieces, at = [], 0
    for length in lengths:
        pieces.append(stream[at : at + length])
        at += length
    assert _events([*pieces, stream[at:]]) == _reference(stream)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_oversize_event_is_skipped(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """An event past the limit is skipped and counted, in one line or many; the next is read."""
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", 100)
    stream = b"data: " + b"x" * 300 + b"\n\n" + b"data: y\n" * 40 + b"\n" + b"data: ok\n\n"
    splitter = EventSplitter()
    pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
    assert [event for piece in pieces for event in splitter.feed(piece)] == [b"ok"]
    assert splitter.skipped == 2


@pytest.mark.parametrize(
    "pieces",
    [
        [b"data: " + b"x" * 300 + b"\n\n", b"data: ok\n\n"],
        [b"data: " + b"x" * 300 + b"\n", b"data: more of it\n\n", b"data: ok\n\n"],
        [b"data: " + b"x" * 300, b"\ndata: more of it\n\n", b"data: ok\n\n"],
    ],
)
def test_oversize_event_in_pieces(monkeypatch: pytest.MonkeyPatch, pieces: list[bytes]) -> None:
    """All of an event past the limit is skipped, wherever it is cut."""
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", 100)
    splitter = EventSplitter()
    assert [event for piece in pieces for event in splitter.feed(piece)] == [b"ok"]
    assert splitter.skipped == 1


@pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n"])
def test_line_ends_inside_a_piece(end: bytes) -> None:
    """Every kind of line end ends a line, also in a piece that looks like one event."""
    assert _events([b"data: a" + end + b"data: b\n\n"]) == [b"a\nb"]


def test_many_small_events_in_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is an event's, not a piece's."""
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", 100)
    splitter = EventSplitter()
    assert splitter.feed(b"data: x\n\n" * 50) == [b"x"] * 50
    assert splitter.skipped == 0


def test_long_line_takes_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line without an end is not kept past the limit."""
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", 100)
    splitter = EventSplitter()
    for _ in range(1000):
        splitter.feed(b"x" * 50)
    assert sum(map(len, splitter._line)) <= 100
