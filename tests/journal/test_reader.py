"""What a reader does with journals that are whole, foreign, damaged or hostile."""

import os
import random
import struct
from collections.abc import Callable
from pathlib import Path
from zlib import crc32

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from otel_llm.clock import Anchor, MonotonicNs
from otel_llm.errors import JournalError
from otel_llm.facts import RequestArrived, StepDone
from otel_llm.journal.directory import scan
from otel_llm.journal.layout import (
    HEADER_BYTES,
    IDENTITY,
    MAX_FRAME,
    PRODUCER_AT,
    STATE,
    STATE_SLOTS,
    tail_check,
)
from otel_llm.journal.reader import Cursor, JournalReader, LostCounts
from otel_llm.journal.writer import Journal, open_journal
from otel_llm.settings import Settings
from otel_llm.testing import FakeClock

PathOf = Callable[[Journal], Path]


def step(number: int, members: int = 10) -> StepDone:
    """A record whose content follows from its number."""
    return StepDone(number, MonotonicNs(number), [number % 50] * members)


def fill(journal: Journal, first: int, last: int) -> list[StepDone]:
    """Write the steps of a range, both ends included."""
    steps = [step(number) for number in range(first, last + 1)]
    for one in steps:
        journal.write(one)
    return steps


def overwrite(path: Path, at: int, data: bytes) -> None:
    """Change bytes of a file in place, as only a broken or hostile process would."""
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


def copied(path: Path) -> Path:
    """A copy of a journal, to be damaged."""
    copy = path.with_suffix(".copy")
    copy.write_bytes(path.read_bytes())
    return copy


def make_fifo(path: Path) -> None:
    """Put a FIFO in a file's place; opening one for reading blocks a careless reader."""
    path.unlink()
    os.mkfifo(path)


def put_state(path: Path, head: int, seq: int, tail: int, tail_seq: int) -> None:
    """Store a state in both slots, its check made right."""
    check = head ^ seq ^ tail_check(tail, tail_seq)
    for slot in STATE_SLOTS:
        overwrite(path, slot, STATE.pack(head, seq, tail, tail_seq, check))


def test_records_come_back_in_order(journal: Journal, path_of: PathOf) -> None:
    """A reader gets the anchor first and then every record as written."""
    arrived = RequestArrived(1, "r", "a", "chat", "tiny", MonotonicNs(5), 12, traceparent="00-x")
    journal.write(arrived)
    steps = fill(journal, 1, 3)
    reader = JournalReader.open(path_of(journal))
    anchor, *rest = reader.read()
    assert isinstance(anchor, Anchor)
    assert rest == [arrived, *steps]
    assert reader.lost == LostCounts()
    assert reader.producer == journal.producer
    assert reader.read() == []
    reader.close()


def test_cursor_resumes(journal: Journal, path_of: PathOf) -> None:
    """A reader opened with another's cursor goes on where that one stopped."""
    fill(journal, 1, 5)
    first = JournalReader.open(path_of(journal))
    first.read()
    cursor = msgspec.msgpack.decode(msgspec.msgpack.encode(first.cursor), type=Cursor)
    first.close()
    fresh = fill(journal, 6, 9)
    second = JournalReader.open(path_of(journal), cursor)
    assert second.read() == fresh
    assert second.lost == LostCounts()
    second.close()


def test_limit_is_kept(journal: Journal, path_of: PathOf) -> None:
    """A reader returns at most as many records as asked for, and then goes on."""
    fill(journal, 1, 10)
    reader = JournalReader.open(path_of(journal))
    parts = [reader.read(4), reader.read(4), reader.read(4), reader.read(4)]
    assert [len(part) for part in parts] == [4, 4, 3, 0]
    reader.close()


def test_two_readers_do_not_disturb_each_other(journal: Journal, path_of: PathOf) -> None:
    """Two readers at different paces both get everything, and the writer's lock stays."""
    slow, fast = (JournalReader.open(path_of(journal)) for _ in range(2))
    seen: list[object] = []
    for first in range(1, 50, 5):
        fill(journal, first, first + 4)
        seen += fast.read()
        assert slow.is_alive()
        assert fast.is_alive()
    assert slow.read() == seen
    assert len(seen) == 51
    slow.close()
    fast.close()


def test_overrun_is_counted_exactly(journal: Journal, path_of: PathOf) -> None:
    """A reader that was overtaken goes on at the oldest record and counts what it missed."""
    reader = JournalReader.open(path_of(journal))
    fill(journal, 1, 5000)
    steps = [record for record in reader.read() if isinstance(record, StepDone)]
    assert steps == [step(number) for number in range(steps[0].seq, 5001)]
    # Numbers of records count the anchor too.
    assert reader.lost == LostCounts(overwritten=steps[0].seq)
    assert steps[0].seq > 1
    reader.close()


def test_late_reader_counts_what_it_never_saw(journal: Journal, path_of: PathOf) -> None:
    """Records overwritten before the first look are losses as well."""
    fill(journal, 1, 5000)
    reader = JournalReader.open(path_of(journal))
    assert len(reader.read()) + reader.lost.overwritten == 5001
    reader.close()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.write_bytes(b""), "too short"),
        (lambda path: os.truncate(path, HEADER_BYTES - 1), "too short"),
        (lambda path: os.truncate(path, HEADER_BYTES + 64), "65536 expected"),
        (lambda path: path.write_bytes(random.Random(1).randbytes(65536)), "not a journal"),
        (lambda path: path.write_bytes(bytes(65536)), "not a journal"),
        (lambda path: overwrite(path, 8, struct.pack("<I", 99)), "version 99"),
        (lambda path: overwrite(path, 12, struct.pack("<I", 64)), "damaged header"),
        (lambda path: overwrite(path, 16, struct.pack("<Q", 1 << 50)), "expected"),
        (lambda path: overwrite(path, 16, struct.pack("<Q", 57341)), "damaged header"),
        (lambda path: overwrite(path, 16, struct.pack("<Q", 0)), "damaged header"),
        (lambda path: overwrite(path, 24, b"\xff\xff\xff\xff"), "producer"),
        (lambda path: overwrite(path, PRODUCER_AT + 9, b"\x00"), "producer"),
        (lambda path: path.unlink(), "No such file"),
        (lambda path: (path.unlink(), path.mkdir()), "not a regular file"),
        (make_fifo, "not a regular file"),
        (lambda path: (path.unlink(), path.symlink_to("/etc/hostname")), "cannot be opened"),
    ],
)
def test_what_is_no_journal_is_refused(
    journal: Journal, path_of: PathOf, make: Callable[[Path], object], message: str
) -> None:
    """A short, foreign, damaged or strange file is refused, with its path and the reason."""
    path = copied(path_of(journal))
    make(path)
    with pytest.raises(JournalError, match=message) as error:
        JournalReader.open(path)
    assert str(path) in str(error.value)


def test_identity_of_another_shape_is_refused(journal: Journal, path_of: PathOf) -> None:
    """An instance id that is not 32 hex digits is refused: ids of spans derive from it."""
    path = path_of(journal)
    for change in ({"instance_id": "../../etc"}, {"instance_id": "A" * 32}, {"dp_rank": 1.5}):
        blob = msgspec.msgpack.encode({**msgspec.structs.asdict(journal.producer), **change})
        header = list(IDENTITY.unpack(path.read_bytes()[: IDENTITY.size]))
        header[4:] = [len(blob), crc32(blob)]
        overwrite(path, 0, IDENTITY.pack(*header))
        overwrite(path, PRODUCER_AT, blob)
        with pytest.raises(JournalError, match="producer"):
            JournalReader.open(path)


def test_damaged_record_is_counted_and_passed(journal: Journal, path_of: PathOf) -> None:
    """After a damaged record the reader goes on at the head and counts all it cannot find."""
    fill(journal, 1, 10)
    path = path_of(journal)
    reader = JournalReader.open(path)
    whole = reader.read(5)
    overwrite(path, HEADER_BYTES + reader.cursor.position + 20, b"\xff\xff")
    assert reader.read() == []
    assert reader.lost == LostCounts(corrupt=11 - len(whole))
    fresh = fill(journal, 11, 12)
    assert reader.read() == fresh
    reader.close()


def test_undecodable_record_is_counted_and_skipped(journal: Journal, path_of: PathOf) -> None:
    """A whole record of an unknown kind or with wrong content costs only itself."""
    fill(journal, 1, 1)
    assert journal._ring is not None
    # A fifth field, as a newer writer may have, nested too deep to skip.
    deep = b"\x95\x01\x02\x90\xc0" + b"\x91" * 100_000 + b"\xc0"
    strange = [(5, b"\xc1"), (200, b"\x90"), (5, b""), (5, b"\x93\xa1\xff\x02\x90"), (5, b"\x90")]
    for kind, payload in strange:
        journal._ring.append(kind, payload)
    journal._ring.append(5, deep[:10_000])
    journal._ring.append(5, b"\xdd\xff\xff\xff\xff")  # an array said to have 2**32 entries
    not_utf8 = b"\x97\x01\xa1\xff\xa1a\xa1a\xa1a\x01\x01"
    journal._ring.append(2, not_utf8)
    fresh = fill(journal, 2, 3)
    reader = JournalReader.open(path_of(journal))
    _, first, *rest = reader.read()
    assert [first, *rest] == [step(1), *fresh]
    assert reader.lost == LostCounts(undecodable=8)
    reader.close()


def test_file_cut_off_under_the_reader(journal: Journal, path_of: PathOf) -> None:
    """A file that somebody truncates is a counted loss for the reader, not a SIGBUS."""
    fill(journal, 1, 400)
    path = copied(path_of(journal))  # the writer's own mapping must stay whole
    reader = JournalReader.open(path)
    first = reader.read(100)
    os.truncate(path, HEADER_BYTES + 4096)
    while rest := reader.read(100):
        first += rest
    assert reader.lost.corrupt == 401 - len(first) > 0
    os.truncate(path, 0)
    assert reader.read() == []
    assert reader.counters.dropped == 0
    reader.close()


@pytest.mark.parametrize(
    "state",
    [
        (1 << 63, 1 << 40, (1 << 63) - 57344, 1),  # heads beyond all that was written
        (57344 - 8, 400, 0, 1),
        (0, 1, 0, 1),  # back to the beginning
        (8, 2, 0, 1),
        (4096, 5, 4096, 5),
    ],
)
def test_hostile_state_ends(
    journal: Journal, path_of: PathOf, state: tuple[int, int, int, int]
) -> None:
    """A state that lies, with its check made right, costs records but neither time nor truth."""
    written = fill(journal, 1, 300)
    path = path_of(journal)
    reader = JournalReader.open(path)
    seen = reader.read(50)
    put_state(path, *state)
    for _ in range(5):
        seen += reader.read()
    assert reader.lost.corrupt + reader.lost.overwritten > 0
    assert [one for one in seen if isinstance(one, StepDone)] == written[: len(seen) - 1]
    reader.close()


@pytest.mark.parametrize(
    "cursor", [Cursor(-8, 1), Cursor(13, 1), Cursor(1 << 62, 5), Cursor(0, 1 << 40)]
)
def test_impossible_cursor_goes_to_the_head(
    journal: Journal, path_of: PathOf, cursor: Cursor
) -> None:
    """A cursor that cannot belong to this journal delivers nothing old, and says so."""
    fill(journal, 1, 10)
    reader = JournalReader.open(path_of(journal), cursor)
    assert reader.read() == []
    assert reader.lost.corrupt >= 1
    fresh = fill(journal, 11, 12)
    assert reader.read() == fresh
    reader.close()


def test_cursor_with_a_wrong_number_is_corrupt(journal: Journal, path_of: PathOf) -> None:
    """A cursor at a record's place but with another number delivers nothing under it."""
    fill(journal, 1, 10)
    reader = JournalReader.open(path_of(journal), Cursor(0, 4))
    assert reader.read() == []
    assert reader.lost.corrupt == 8
    reader.close()


def test_sizes_in_frames_are_not_believed(journal: Journal, path_of: PathOf) -> None:
    """A frame that claims gigabytes is corrupt; nothing of that size is allocated."""
    fill(journal, 1, 10)
    path = path_of(journal)
    for claim in (0, 8, 15, MAX_FRAME, 0xFFFFFFFF):
        overwrite(path, HEADER_BYTES + 4, struct.pack("<I", claim))
        reader = JournalReader.open(path)
        assert reader.read() == []
        assert reader.lost.corrupt == 11
        reader.close()


@examples(max_examples=150, deadline=None)
@given(data=st.data())
def test_flipped_bits_never_alter_a_record(
    tmp_path_factory: pytest.TempPathFactory, image: tuple[bytes, list[Anchor]], data: st.DataObject
) -> None:
    """Bits flipped anywhere: the reader refuses the file, or delivers only what was written."""
    whole, anchors = image
    flips = data.draw(st.lists(st.integers(0, len(whole) * 8 - 1), min_size=1, max_size=8))
    # Most of the file is unread ring; put half of the flips where they matter.
    near = data.draw(st.lists(st.integers(0, 320 * 8 - 1), max_size=3))
    damaged = bytearray(whole)
    for bit in flips + near:
        damaged[bit // 8] ^= 1 << bit % 8
    path = tmp_path_factory.mktemp("flips") / "damaged"
    path.write_bytes(damaged)
    try:
        reader = JournalReader.open(path)
    except JournalError:
        return
    for _ in range(10):
        for record in reader.read(1000):
            if isinstance(record, Anchor):
                assert record in anchors
            else:
                assert isinstance(record, StepDone)
                assert record == step(record.seq, record.seq % 7)
    reader.close()


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, list[Anchor]]:
    """The bytes of a journal that has wrapped around, and the anchors it holds."""
    clock = FakeClock()
    folder = tmp_path_factory.mktemp("image")
    journal = open_journal(
        kind="engine",
        service="s",
        engine="e",
        engine_version="1",
        settings=Settings(journal_dir=str(folder / "j"), journal_bytes=65536),
        clock=clock,
    )
    for number in range(3000):
        clock.advance(20_000_000)
        journal.write(step(number, number % 7))
    path = scan(folder / "j")[0]
    reader = JournalReader.open(path)
    anchors = [record for record in reader.read() if isinstance(record, Anchor)]
    reader.close()
    image = path.read_bytes()
    journal.close()
    assert len(anchors) > 5
    return image, anchors


def test_what_is_written_while_one_reads_is_for_the_next_time(
    journal: Journal, path_of: PathOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that runs only when the writer has just written comes to an end all the same."""
    written = fill(journal, 1, 3)
    reader = JournalReader.open(path_of(journal))
    read_chunk = reader._read_chunk

    def and_then_write(*args: object) -> bool:
        found = read_chunk(*args)  # type: ignore[arg-type]
        written.extend(fill(journal, len(written) + 1, len(written) + 1))
        return found

    monkeypatch.setattr(reader, "_read_chunk", and_then_write)
    assert [one for one in reader.read() if isinstance(one, StepDone)] == written[:3]
    assert [one for one in reader.read() if isinstance(one, StepDone)] == written[3:4]
    reader.close()
