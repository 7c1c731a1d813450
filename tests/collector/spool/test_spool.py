"""The spool: on disk before it says so, once however often it is sent, and nothing forgotten."""

import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, wait
from pathlib import Path

import pytest

from otel_llm.collector.decoder import Checked
from otel_llm.collector.spool import Bounds, Entry, Spool, entry_of, read_segment, recent
from otel_llm.errors import StoreError
from tests.waiting import until

BOUNDS = Bounds(1 << 20, 1 << 12, 30.0)


def entry(number: int, size: int = 10) -> Entry:
    """A request that differs by its number."""
    return entry_of("logs", f"{number:0{size}d}".encode(), Checked(1, 0, 1))


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    """A spool whose segments do not get old."""
    spool = Spool(tmp_path / "spool", BOUNDS)
    yield spool
    spool.close()


def on_disk(spool: Spool) -> list[Entry]:
    """Whole records in all segments."""
    return [
        found
        for path in sorted(spool.directory.glob("*.segment"))
        for found in read_segment(path.read_bytes()).entries
    ]


def test_what_is_acknowledged_is_on_disk(spool: Spool) -> None:
    """When the future ends the record can be read from the file."""
    for number in range(5):
        spool.offer(entry(number)).result(10)
        assert on_disk(spool)[-1] == entry(number)


def test_many_wait_for_the_disk_once(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes while the disk is busy is written by the next write, all of it together."""
    go, busy = threading.Event(), threading.Event()
    sync = os.fdatasync

    def slow(file: int) -> None:
        busy.set()
        assert go.wait(10)
        sync(file)

    monkeypatch.setattr(os, "fdatasync", slow)
    first = spool.offer(entry(0))
    assert busy.wait(10)
    others = [spool.offer(entry(number)) for number in range(1, 100)]
    assert not first.done()
    go.set()
    wait([first, *others], 10)
    assert spool.commits == 2
    assert len(on_disk(spool)) == 100


def test_a_request_that_comes_again_is_kept_once(spool: Spool) -> None:
    """While it is being written, and afterwards; another with the same body and signal is it."""
    futures = [spool.offer(entry(1)) for _ in range(3)]
    wait(futures, 10)
    spool.offer(entry(1)).result(10)
    assert on_disk(spool) == [entry(1)]
    assert spool.repeated == 3


def test_a_request_that_failed_may_come_again(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk fails: nobody is told it is stored, no byte is counted, and the retry is."""

    def fails(_file: int) -> None:
        raise OSError(28, "full")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", fails)
        with pytest.raises(OSError, match="full"):
            spool.offer(entry(1)).result(10)
    assert spool.size == 0
    spool.offer(entry(1)).result(10)
    assert on_disk(spool) == [entry(1)]


@pytest.mark.parametrize("handed_out", [False, True], ids=["segment", "digests"])
def test_a_request_is_known_to_the_next_process(tmp_path: Path, handed_out: bool) -> None:
    """Whether its segment still waits or is stored and removed."""
    spool = Spool(tmp_path, BOUNDS)
    spool.offer(entry(1)).result(10)
    spool.close()
    if handed_out:
        path = spool.next_closed(0)
        assert path is not None
        spool.remove(path, [entry(1).digest])
        assert spool.next_closed(0) is None
    again = Spool(tmp_path, BOUNDS)
    again.offer(entry(1)).result(10)
    again.close()
    assert again.repeated == 1
    assert len(on_disk(again)) == (0 if handed_out else 1)


def test_a_request_is_known_when_its_segment_is_gone(spool: Spool) -> None:
    """Its rows are stored: the same again is acknowledged, and makes no segment."""
    spool.offer(entry(1, 5000)).result(10)
    path = spool.next_closed(10)
    assert path is not None
    spool.remove(path, [entry(1, 5000).digest])
    spool.offer(entry(1, 5000)).result(10)
    assert (spool.repeated, spool.size) == (1, 0)
    assert on_disk(spool) == []


def test_what_is_remembered_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In memory and on disk; the last ones are known, a digest cut short does not matter."""
    monkeypatch.setattr(recent, "MOST", 8)
    known = recent.Recent(tmp_path)
    digests = [entry(number).digest for number in range(100)]
    for digest in digests:
        known.add(digest, Future())
        known.keep([digest])
    with (tmp_path / "recent").open("ab") as file:
        file.write(b"torn")
    again = recent.Recent(tmp_path)
    assert len(known._known) == 8
    assert all(known.get(digest) for digest in digests[-8:])
    assert all(again.get(digest) for digest in digests[-4:])
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 8 * 16
    again.keep([digests[0]])
    assert recent.Recent(tmp_path).get(digests[0])


def test_digests_are_written_whole_or_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that takes half of them: the segment stays, and the file is in line."""
    known = recent.Recent(tmp_path)
    known.keep([entry(1).digest])
    write = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda file, data: write(file, data[:21]))
        with pytest.raises(OSError, match="No space"):
            known.keep([entry(2).digest, entry(3).digest])
    assert (tmp_path / "recent").read_bytes() == entry(1).digest


def test_segments_are_closed_by_size(spool: Spool) -> None:
    """A full segment is handed out; the open one is not."""
    spool.offer(entry(1, 5000)).result(10)
    spool.offer(entry(2)).result(10)
    path = spool.next_closed(10)
    assert path is not None
    assert read_segment(path.read_bytes()).entries == [entry(1, 5000)]


def test_segments_are_closed_by_age(tmp_path: Path) -> None:
    """A segment does not wait for ever for more."""
    spool = Spool(tmp_path, BOUNDS._replace(segment_age_s=0.05))
    spool.offer(entry(1)).result(10)
    assert spool.next_closed(10) is not None
    spool.close()


def test_an_old_segment_grows_while_another_is_before_it(tmp_path: Path) -> None:
    """It could not be stored yet; as soon as none is before it, it is handed out as a whole."""
    spool = Spool(tmp_path, BOUNDS._replace(segment_age_s=0.05))
    spool.offer(entry(0)).result(10)
    first = spool.next_closed(10)
    assert first is not None
    for number in range(1, 6):
        spool.offer(entry(number)).result(10)
        time.sleep(0.06)
    assert [path for path in tmp_path.glob("*.segment") if path != first] != []
    assert spool.next_closed(0) == first
    spool.remove(first, [])
    second = spool.next_closed(10)
    assert second is not None
    assert read_segment(second.read_bytes()).entries == [entry(number) for number in range(1, 6)]
    spool.close()


def test_a_full_segment_is_closed_whoever_is_before_it(tmp_path: Path) -> None:
    """However long the first is not stored, no segment grows past its size and a request."""
    spool = Spool(tmp_path, BOUNDS._replace(segment_age_s=0.01))
    for number in range(8):
        spool.offer(entry(number, 3000)).result(10)
        time.sleep(0.02)
    sizes = [path.stat().st_size for path in sorted(tmp_path.glob("*.segment"))]
    assert len(sizes) >= 4
    assert max(sizes) <= BOUNDS.segment_bytes + entry(0, 3000).size
    spool.close()


def test_size_is_what_waits(spool: Spool) -> None:
    """Bytes are counted when they come, and given back when their segment is removed."""
    spool.offer(entry(1, 5000)).result(10)
    assert spool.size == entry(1, 5000).size
    assert spool.has_room((1 << 20) - spool.size)
    assert not spool.has_room((1 << 20) - spool.size + 1)
    path = spool.next_closed(10)
    assert path is not None
    spool.remove(path, [entry(1, 5000).digest])
    assert spool.size == 0


def test_what_was_left_behind_comes_first(tmp_path: Path) -> None:
    """Segments of an earlier process are handed out in order, before new ones, and counted."""
    bounds = BOUNDS._replace(segment_bytes=1)
    spool = Spool(tmp_path, bounds)
    for number in range(3):
        spool.offer(entry(number)).result(10)
    spool.close()
    again = Spool(tmp_path, bounds)
    assert again.size == 3 * entry(0).size
    again.offer(entry(9)).result(10)
    found = []
    for _ in range(4):
        path = again.next_closed(10)
        assert path is not None
        found += read_segment(path.read_bytes()).entries
        again.remove(path, [])
    again.close()
    assert found == [entry(0), entry(1), entry(2), entry(9)]
    assert again.size == 0


def test_a_closed_spool_takes_nothing(spool: Spool) -> None:
    """A request that comes too late is told so."""
    spool.close()
    with pytest.raises(StoreError, match="closed"):
        spool.offer(entry(1)).result(10)


def test_an_empty_segment_is_left_by_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A segment whose only write failed is removed."""

    def fails(_file: int) -> None:
        raise OSError(28, "full")

    spool = Spool(tmp_path, BOUNDS)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", fails)
        with pytest.raises(OSError, match="full"):
            spool.offer(entry(1)).result(10)
    spool.close()
    assert list(tmp_path.glob("*.segment")) == []


def test_an_empty_segment_that_cannot_be_removed_is_handed_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The directory was made read-only: the thread goes on, and the file is not forgotten."""

    def fails(*_args: object, **_kwargs: object) -> None:
        raise OSError(30, "read-only")

    spool = Spool(tmp_path, BOUNDS)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", fails)
        patch.setattr(Path, "unlink", fails)
        with pytest.raises(OSError, match="read-only"):
            spool.offer(entry(1)).result(10)
        until(lambda: spool.next_closed(0) is not None)
    spool.offer(entry(1)).result(10)
    path = spool.next_closed(0)
    assert path is not None
    spool.remove(path, [])
    assert spool.size == entry(1).size
    spool.close()


def test_files_of_others_are_left_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever is put there does not keep the spool from opening; it is told and not handed out."""
    strangers = [
        tmp_path / name for name in ("note.segment", "1-x.segment", "0000000001-again.segment")
    ]
    for path in strangers:
        path.write_bytes(b"hello")
    folder = tmp_path / f"{1:010d}-{'0' * 16}.segment"
    folder.mkdir()
    spool = Spool(tmp_path, BOUNDS)
    spool.close()
    assert spool.next_closed(0) is None
    assert spool.size == 0
    for path in (*strangers, folder):
        assert path.exists()
        assert f"{path} is no segment" in caplog.text


def test_a_segment_whose_file_is_gone_is_let_go(spool: Spool) -> None:
    """Its bytes wait no more."""
    spool.offer(entry(1, 5000)).result(10)
    path = spool.next_closed(10)
    assert path is not None
    path.unlink()
    spool.remove(path, [])
    assert (spool.size, spool.next_closed(0)) == (0, None)


def test_senders_are_told_when_the_thread_ends(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By an error that nobody thought of: who waits and who comes later gets an error at once."""

    def fails(*_args: object) -> None:
        raise KeyError("nobody thought of this")

    monkeypatch.setattr(os, "fdatasync", fails)
    for number in range(2):
        with pytest.raises(StoreError, match="closed"):
            spool.offer(entry(number)).result(10)
    with pytest.raises(KeyError):
        spool.worker.ended.result(10)
    assert spool.size == 0


def test_a_sender_that_goes_away_harms_nobody(spool: Spool) -> None:
    """Giving up on a future does not stop the record, nor the next ones."""
    assert not spool.offer(entry(1)).cancel()
    spool.offer(entry(2)).result(10)
    until(lambda: len(on_disk(spool)) == 2)


def test_a_directory_that_others_write_to_is_refused(tmp_path: Path) -> None:
    """Whoever may write there may forge spans."""
    tmp_path.chmod(0o777)
    with pytest.raises(StoreError, match="others may write"):
        Spool(tmp_path, BOUNDS)
