"""Segments: what was written whole is read, whatever happened to the rest."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_llm.collector.decoder import Checked, Window
from otel_llm.collector.spool import Entry, entry_of, read_segment
from otel_llm.collector.spool.record import HEAD_BYTES, SIGNALS
from otel_llm.collector.spool.segment import Segment

ENTRIES = st.lists(
    st.builds(
        lambda signal, body, items, window: entry_of(
            signal, body, Checked(items, 0, items * 100), window
        ),
        st.sampled_from(SIGNALS),
        st.binary(max_size=40) | st.just(b"OTLR" * 12),
        st.integers(0, 2**32 - 1),
        st.builds(Window, st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1)),
    ),
    max_size=6,
)


def encoded(entries: list[Entry]) -> bytes:
    """The bytes of a segment."""
    return b"".join(entry.head() + entry.body for entry in entries)


@given(ENTRIES)
def test_what_is_written_is_read(entries: list[Entry]) -> None:
    """Every field comes back, in order."""
    assert read_segment(encoded(entries)) == (entries, [], None)


@given(ENTRIES, st.data())
def test_a_cut_takes_the_last_record_alone(entries: list[Entry], data: st.DataObject) -> None:
    """Cut at any byte: the whole records before it, and the place where the torn one starts."""
    whole = encoded(entries)
    at = data.draw(st.integers(0, len(whole)))
    kept, start = [], 0
    for entry in entries:
        if start + entry.size > at:
            break
        kept.append(entry)
        start += entry.size
    reading = read_segment(whole[:at])
    assert reading.entries == kept
    assert reading.damaged == []
    assert reading.torn == (start if start < at else None)


@given(ENTRIES.filter(bool), st.data())
def test_a_wrong_byte_costs_one_record(entries: list[Entry], data: st.DataObject) -> None:
    """Whichever byte is wrong: the other records are read, and nothing that was not written is."""
    broken = bytearray(encoded(entries))
    at = data.draw(st.integers(0, len(broken) - 1))
    broken[at] ^= data.draw(st.integers(1, 255))
    start, hit = 0, 0
    for number, entry in enumerate(entries):
        if start <= at < start + entry.size:
            hit = number
        start += entry.size
    reading = read_segment(bytes(broken))
    left = entries[:hit] + entries[hit + 1 :]
    assert reading.entries == left
    # The last record alone may look like one that was not finished.
    assert len(reading.damaged) == 1 or (hit == len(entries) - 1 and reading.torn is not None)


def test_a_write_is_on_disk_once_for_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand records: all of them in the file, one wait for the disk."""
    waits: list[int] = []
    monkeypatch.setattr(os, "fdatasync", waits.append)
    segment = Segment(tmp_path / "s")
    entries = [entry_of("logs", b"x" * n, Checked(1, 0, 1)) for n in range(1500)]
    segment.append(entries)
    segment.close()
    assert len(waits) == 1
    assert read_segment((tmp_path / "s").read_bytes()).entries == entries


def test_a_failed_write_leaves_no_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk fails after half: the file ends where it ended before, and goes on from there."""
    first, second, third = (entry_of("logs", bytes([n]) * 9, Checked(1, 0, 1)) for n in range(3))
    segment = Segment(tmp_path / "s")
    segment.append([first])

    def fails(_file: int) -> None:
        raise OSError(28, "full")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", fails)
        with pytest.raises(OSError, match="full"):
            segment.append([second])
    segment.append([third])
    segment.close()
    assert read_segment((tmp_path / "s").read_bytes()) == ([first, third], [], None)


def test_a_segment_is_never_written_over(tmp_path: Path) -> None:
    """A name that exists is refused."""
    (tmp_path / "s").touch()
    with pytest.raises(FileExistsError):
        Segment(tmp_path / "s")


def test_a_length_that_was_not_written_is_not_believed() -> None:
    """A head with another length has the wrong checksum."""
    entry = entry_of("logs", b"body", Checked(1, 0, 1))
    head = bytearray(entry.head())
    head[8:12] = (2**31).to_bytes(4, "little")
    reading = read_segment(bytes(head) + b"body" + entry.head() + b"body")
    assert reading.entries == [entry]
    assert reading.damaged == [(0, HEAD_BYTES + 4)]
