"""The ring and its reader against a model: any sizes, any order of writing and reading."""

import itertools
import mmap
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_llm.clock import Anchor, MonotonicNs
from otel_llm.facts import StepDone
from otel_llm.journal import ring as ring_module
from otel_llm.journal.directory import scan
from otel_llm.journal.layout import HEADER_BYTES, U64
from otel_llm.journal.reader import Cursor, JournalReader
from otel_llm.journal.records import Record
from otel_llm.journal.writer import Journal, open_journal
from otel_llm.settings import Settings
from otel_llm.testing import FakeClock

BYTES = 65536
CAPACITY = BYTES - HEADER_BYTES


def step(number: int, members: int) -> StepDone:
    """A record whose content follows from its number and size."""
    return StepDone(number, MonotonicNs(number), [number % 100] * members, members)


@contextmanager
def small_journal() -> Iterator[tuple[Journal, Path]]:
    """An open journal and its file."""
    with tempfile.TemporaryDirectory() as folder:
        journal = open_journal(
            kind="engine",
            service="s",
            engine="e",
            engine_version="1",
            settings=Settings(journal_dir=f"{folder}/j", journal_bytes=BYTES),
            clock=FakeClock(),
        )
        try:
            yield journal, scan(Path(folder, "j"))[0]
        finally:
            journal.close()


write = st.tuples(st.just("write"), st.integers(0, 6000))
write_many = st.tuples(st.just("burst"), st.integers(1, 400))
read = st.tuples(st.just("read"), st.integers(1, 300))
reopen = st.tuples(st.just("reopen"), st.just(0))


@settings(max_examples=120, deadline=None)
@given(st.lists(st.one_of(write, write_many, read, reopen), max_size=60))
def test_received_and_lost_add_up(operations: list[tuple[str, int]]) -> None:
    """Whatever is written and read when: all arrives unaltered and in order, or is counted."""
    with small_journal() as (journal, path):
        reader = JournalReader.open(path)
        written: list[StepDone] = []
        received: list[Record] = []
        lost = 0
        for operation, size in operations:
            if operation == "read":
                fresh = reader.read(size)
                assert len(fresh) <= size
                received += fresh
            elif operation == "reopen":
                cursor, before = reader.cursor, reader.lost.overwritten
                reader.close()
                reader = JournalReader.open(path, cursor)
                lost += before
            else:
                sizes = [size] if operation == "write" else [size % 40] * size
                for members in sizes:
                    written.append(step(len(written) + 1, members))
                    journal.write(written[-1])
        while fresh := reader.read():
            received += fresh
        lost += reader.lost.overwritten
        anchors = 1 if written else 0
        assert reader.lost.corrupt == reader.lost.undecodable == 0
        assert len(received) + lost == len(written) + anchors
        steps = [record for record in received if isinstance(record, StepDone)]
        assert steps == [written[record.seq - 1] for record in steps]
        assert [record.seq for record in steps] == sorted({record.seq for record in steps})
        reader.close()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 9000), min_size=1, max_size=80))
def test_the_newest_stay(sizes: list[int]) -> None:
    """At least 47/64 of the ring always hold the newest records (tail moves 1/64 at a time)."""
    with small_journal() as (journal, path):
        positions = []
        with_reader = JournalReader.open(path)
        for number, members in enumerate(sizes, 1):
            journal.write(step(number, members))
            with_reader.read()
            positions.append(with_reader.cursor.position)
        late = JournalReader.open(path)
        kept = {record.seq for record in late.read() if isinstance(record, StepDone)}
        oldest_kept = positions[-1] - CAPACITY * 47 // 64
        must = {
            n for n, end in enumerate(positions, 1) if n > 1 and positions[n - 2] >= oldest_kept
        }
        assert must <= kept
        late.close()
        with_reader.close()


class Cut(BaseException):
    """Stands for the moment a process is killed or interrupted."""


class CutState:
    """Stands in for the storing of a state: stores some of its words, then cuts."""

    def __init__(self, words: int) -> None:
        self.words = words

    def __call__(self, buffer: mmap.mmap, at: int, *values: int) -> None:
        """Store the first words of the state."""
        for number, value in enumerate(values[: self.words]):
            U64.pack_into(buffer, at + 8 * number, value)
        raise Cut


class CutFrame(bytes):
    """A payload that cuts when it is joined to its frame header."""

    def __radd__(self, other: bytes) -> bytes:
        """Cut before the frame is stored."""
        raise Cut


@pytest.mark.parametrize("words", range(6))
@pytest.mark.parametrize("before", [0, 1, 7, 400])
def test_cut_while_the_state_is_stored(
    monkeypatch: pytest.MonkeyPatch, words: int, before: int
) -> None:
    """A writer cut between any two words of its state hides at most the record in hand."""
    with small_journal() as (journal, path):
        for number in range(1, before + 1):
            journal.write(step(number, 50))
        with monkeypatch.context() as patch:
            patch.setattr(ring_module, "_pack_state", CutState(words))
            with pytest.raises(Cut):
                journal.write(step(before + 1, 50))
        reader = JournalReader.open(path)
        seen = reader.read()
        assert reader.lost.corrupt == 0
        assert len(seen) + reader.lost.overwritten >= before
        journal.write(step(before + 2, 50))
        seen += reader.read()
        # The interrupted writer goes on, and with the next state the cut record shows as well.
        assert seen[-1] == step(before + 2, 50)
        assert reader.lost.corrupt == 0
        reader.close()


@pytest.mark.parametrize("words", range(6))
def test_cut_while_the_tail_moves(monkeypatch: pytest.MonkeyPatch, words: int) -> None:
    """A writer cut while it tells readers of a new tail loses nothing but the record in hand."""
    whole = ring_module._pack_state

    def cut_at_the_first_tail(buffer: mmap.mmap, at: int, *values: int) -> None:
        if values[2] == 0:
            whole(buffer, at, *values)
        else:
            CutState(words)(buffer, at, *values)

    with small_journal() as (journal, path):
        numbers = itertools.count(1)

        def write_on() -> None:
            for number in numbers:
                journal.write(step(number, 50))

        with monkeypatch.context() as patch:
            patch.setattr(ring_module, "_pack_state", cut_at_the_first_tail)
            with pytest.raises(Cut):
                write_on()
        number = next(numbers) - 1
        reader = JournalReader.open(path)
        steps = [record for record in reader.read() if isinstance(record, StepDone)]
        assert steps == [step(one, 50) for one in range(steps[0].seq, number)]
        assert reader.lost.corrupt == 0
        journal.write(step(number + 1, 50))
        assert reader.read() == [step(number + 1, 50)]
        assert reader.lost.corrupt == 0
        reader.close()


def test_cut_before_the_frame_is_stored() -> None:
    """A write that an interrupt stops halfway leaves no trace; the next takes its place."""
    with small_journal() as (journal, path):
        journal.write(step(1, 3))
        assert journal._ring is not None
        with pytest.raises(Cut):
            journal._ring.append(5, CutFrame(b"half"))
        journal.write(step(2, 3))
        reader = JournalReader.open(path)
        anchor, *steps = reader.read()
        assert isinstance(anchor, Anchor)
        assert steps == [step(1, 3), step(2, 3)]
        assert reader.cursor == Cursor(reader.cursor.position, 4)
        reader.close()
