"""A segment: a file of records, written by one thread, each write on disk when `append` returns."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from otel_llm.collector.spool.record import HEAD_BYTES, MAGIC, Entry, digest_of, read_head

# Few pieces at once: IOV_MAX is 1024, and a record has two.
_PIECES = 512


class Segment:
    """A new segment file. Its name is on disk when this returns.

    Args:
        path: must not exist yet.

    Raises:
        OSError: the file cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        self._file = os.open(path, flags, 0o600)
        try:
            sync_directory(path.parent)
        except OSError:
            os.close(self._file)
            path.unlink()
            raise

    def append(self, entries: Sequence[Entry]) -> None:
        """Write entries and wait for the disk, once for all of them.

        Raises:
            OSError: none of them counts as written; the file ends where it ended before.
        """
        try:
            written = sum(_write_all(self._file, pieces) for pieces in _pieces(entries))
            os.fdatasync(self._file)
        except (OSError, MemoryError):
            os.ftruncate(self._file, self.size)
            os.lseek(self._file, self.size, os.SEEK_SET)
            raise
        self.size += written

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)


def sync_directory(directory: Path) -> None:
    """Bring the names in a directory to the disk."""
    file = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _pieces(entries: Sequence[Entry]) -> Iterator[list[bytes]]:
    pieces = [piece for entry in entries for piece in (entry.head(), entry.body)]
    for at in range(0, len(pieces), _PIECES):
        yield pieces[at : at + _PIECES]


def _write_all(file: int, pieces: list[bytes]) -> int:
    """Write all pieces; a write may take fewer bytes than it was given."""
    total = sum(map(len, pieces))
    done = os.writev(file, pieces)
    if done < total:
        rest = memoryview(b"".join(pieces))
        while done < total:
            done += os.write(file, rest[done:])
    return total


class Reading(NamedTuple):
    """What a segment holds.

    Attributes:
        entries: whole records, in order.
        damaged: (start, end) of bytes between them that are no record.
        torn: where an unfinished last record starts, which nobody was told is stored; else None.
    """

    entries: list[Entry]
    damaged: list[tuple[int, int]]
    torn: int | None


def read_segment(data: bytes) -> Reading:
    """Read a segment, passing over what is damaged.

    A record that reaches past the end is torn. One whose request does not have its digest is
    damaged, and so is what has no valid head: reading goes on at the next head that is one.
    """
    entries: list[Entry] = []
    damaged: list[tuple[int, int]] = []
    view, at = memoryview(data), 0
    while at < len(data):
        head = read_head(view[at:])
        end = len(data) if head is None else at + HEAD_BYTES + head.length
        if head is None:
            end = _next_head(data, at + 1)
            if end == len(data) and end - at < HEAD_BYTES:
                return Reading(entries, damaged, at)
            damaged.append((at, end))
        elif end > len(data):
            return Reading(entries, damaged, at)
        else:
            body = data[at + HEAD_BYTES : end]
            if digest_of(head.signal, body) == head.digest:
                given = (head.signal, head.items, head.expanded, head.digest)
                entries.append(Entry(*given, body, head.window))
            else:
                damaged.append((at, end))
        at = end
    return Reading(entries, damaged, None)


def digests(data: memoryview) -> Iterator[bytes]:
    """Digests of the records, without reading the requests."""
    at = 0
    while (head := read_head(data[at:])) is not None:
        yield head.digest
        at += HEAD_BYTES + head.length


def _next_head(data: bytes, at: int) -> int:
    """Where the next valid head is; the end if there is none."""
    view = memoryview(data)
    while (at := data.find(MAGIC, at)) >= 0:
        if read_head(view[at:]) is not None:
            return at
        at += 1
    return len(data)
