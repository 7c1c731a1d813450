"""The spool: one thread writes what many requests bring, and waits for the disk once for all."""

import contextlib
import logging
import os
import re
import secrets
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import NamedTuple

from otel_llm import private_dir
from otel_llm.collector.spool.recent import Recent
from otel_llm.collector.spool.record import Entry
from otel_llm.collector.spool.segment import Segment
from otel_llm.collector.worker import Worker
from otel_llm.errors import StoreError

SUFFIX = ".segment"
_NAME = re.compile(r"[0-9]{10,}-[0-9a-f]{16}\.segment")

_log = logging.getLogger(__name__)

_Batch = list[tuple[Entry, "Future[None]"]]
_CLOSED = "The spool is closed."


class Bounds(NamedTuple):
    """Limits of a spool.

    Attributes:
        spool_bytes: most bytes waiting to be stored, on disk and in memory together.
        segment_bytes: a segment that has as many is closed.
        segment_age_s: a segment this old is closed, in seconds, once no other waits to be stored:
            before that it would wait, too, and the more it takes the fewer blocks are stored.
    """

    spool_bytes: int
    segment_bytes: int
    segment_age_s: float


class Spool:
    """Takes requests, writes them into segments, and hands the closed ones out in order.

    Segments that an earlier process left come first.

    Args:
        directory: made if missing; one process uses it at a time.
        bounds: its limits.

    Attributes:
        repeated: requests that were offered again and not written again.
        commits: writes that waited for the disk.
        left: segments that an earlier process left.
        worker: the thread that writes.

    Raises:
        StoreError: the directory is not private.
        OSError: it cannot be used.
    """

    def __init__(self, directory: Path, bounds: Bounds) -> None:
        self.directory = directory
        self._bounds = bounds
        if (problem := private_dir.make(directory)) is not None:
            message = f"The spool {directory}: {problem}."
            raise StoreError(message)
        self._changed = threading.Condition()
        self._pending: _Batch = []
        self._recent = Recent(directory)
        self.left = frozenset(_segments(directory))
        # With the bytes that each is counted for, whatever becomes of its file.
        self._closed = {path: path.stat().st_size for path in sorted(self.left)}
        for path in self._closed:
            self._recent.load(path)
        self._bytes = sum(self._closed.values())
        self._number = max((int(path.name.partition("-")[0]) for path in self.left), default=0)
        self._open: Segment | None = None
        self._opened = 0.0
        self._stopping = False
        self.repeated = self.commits = 0
        self.worker = Worker("otlp-spool", self._run)
        self.worker.start()

    @property
    def size(self) -> int:
        """Bytes waiting to be stored, on disk and in memory."""
        return self._bytes

    def has_room(self, size: int) -> bool:
        """Whether `size` bytes more may wait."""
        return self._bytes + size <= self._bounds.spool_bytes

    def offer(self, entry: Entry) -> "Future[None]":
        """Hand in a request. The future ends when it is on disk.

        One that was handed in before, and did not fail, gets the future of that time.

        Raises (by the future):
            OSError, MemoryError: it could not be written.
            StoreError: the spool is closed.
        """
        with self._changed:
            if (known := self._recent.get(entry.digest)) is not None:
                self.repeated += 1
                return known
            future: Future[None] = Future()
            # Running: a sender that goes away must not cancel what others may wait for, too.
            future.set_running_or_notify_cancel()
            if self._stopping:
                future.set_exception(StoreError(_CLOSED))
                return future
            self._recent.add(entry.digest, future)
            self._pending.append((entry, future))
            self._bytes += entry.size
            self._changed.notify_all()
            return future

    def next_closed(self, timeout_s: float) -> Path | None:
        """The oldest closed segment; None if there is none after `timeout_s`. It stays the next."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._closed), timeout_s)
            return next(iter(self._closed), None)

    def remove(self, path: Path, stored: Iterable[bytes]) -> None:
        """Remove a segment whose rows are on disk, or whose file is gone.

        Args:
            path: what `next_closed` gave.
            stored: digests of its requests.

        Raises:
            OSError: it cannot be removed; it is still the next.
        """
        with self._changed:
            self._recent.keep(stored)
            path.unlink(missing_ok=True)
            self._bytes -= self._closed.pop(path)
            self._changed.notify_all()

    def cut(self, path: Path, size: int) -> None:
        """Cut off the end of a segment, an unfinished record."""
        with self._changed:
            os.truncate(path, size)
            excess = max(0, self._closed[path] - size)
            self._closed[path] -= excess
            self._bytes -= excess

    def close(self) -> None:
        """Write what was handed in, close the open segment, and end. Nothing more is taken."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self.worker.join()

    def _run(self) -> None:
        batch: _Batch = []
        try:
            while not self._stopping or self._pending or self._open is not None:
                batch = self._next_batch()
                if batch:
                    self._commit(batch)
                if self._open is not None and (self._stopping or self._is_over(self._open)):
                    self._close_segment(self._open)
        except BaseException:
            self._give_up(batch)
            raise

    def _next_batch(self) -> _Batch:
        with self._changed:
            # When it is old and others are before it, it is looked at when one of them goes.
            self._changed.wait_for(self._is_due, self._left_s() or None)
            batch, self._pending = self._pending, []
            return batch

    def _give_up(self, batch: _Batch) -> None:
        """Nobody writes any more: tell those who wait, and those to come."""
        with self._changed:
            self._stopping = True
            waiting = [*batch, *self._pending]
        self._fail([each for each in waiting if not each[1].done()], StoreError(_CLOSED))

    def _is_due(self) -> bool:
        is_over = self._open is not None and self._is_over(self._open)
        return bool(self._pending) or self._stopping or is_over

    def _left_s(self) -> float | None:
        """Seconds until the open segment is old; None if there is none."""
        if self._open is None:
            return None
        return max(0.0, self._opened + self._bounds.segment_age_s - time.monotonic())

    def _is_over(self, segment: Segment) -> bool:
        is_old = self._left_s() == 0 and not self._closed
        return is_old or segment.size >= self._bounds.segment_bytes

    def _commit(self, batch: _Batch) -> None:
        try:
            if self._open is None:
                self._open = self._new_segment()
                self._opened = time.monotonic()
            self._open.append([entry for entry, _ in batch])
        except (OSError, MemoryError) as error:
            self._fail(batch, error)
            # Whether that file takes more is not known.
            if self._open is not None:
                self._close_segment(self._open)
            return
        self.commits += 1
        with self._changed:
            for entry, _ in batch:
                self._recent.written(entry.digest)
        for _, future in batch:
            future.set_result(None)

    def _fail(self, batch: _Batch, error: Exception) -> None:
        with self._changed:
            for entry, _ in batch:
                self._recent.forget(entry.digest)
                self._bytes -= entry.size
        for _, future in batch:
            future.set_exception(error)

    def _new_segment(self) -> Segment:
        # The random part keeps the name from ever coming again: rows are stored once per name.
        self._number += 1
        return Segment(self.directory / f"{self._number:010d}-{secrets.token_hex(8)}{SUFFIX}")

    def _close_segment(self, segment: Segment) -> None:
        self._open = None
        with contextlib.closing(segment), self._changed:
            if not segment.size:
                # Where it cannot be removed, it is handed out: then it is tried again.
                with contextlib.suppress(OSError):
                    segment.path.unlink(missing_ok=True)
                    return
            self._closed[segment.path] = segment.size
            self._changed.notify_all()


def _segments(directory: Path) -> Iterator[Path]:
    """The segments in a directory. What else is there is nobody's business, but is told."""
    for path in directory.glob(f"*{SUFFIX}"):
        if _NAME.fullmatch(path.name) and path.is_file():
            yield path
        else:
            _log.warning("%s is no segment of this spool and is left alone", path)
