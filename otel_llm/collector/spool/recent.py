"""Requests that were spooled lately, so that one sent again is not stored again.

A sender whose answer was lost sends the identical request again, perhaps to the next process.
"""

import mmap
import os
from collections.abc import Iterable
from concurrent.futures import Future
from pathlib import Path

from otel_llm.collector.spool.record import DIGEST_BYTES
from otel_llm.collector.spool.segment import digests

MOST = 1 << 17
"""Requests remembered. Those of stored segments are on disk too: the last half of it at least."""

_DONE: "Future[None]" = Future()
_DONE.set_result(None)


class Recent:
    """Digests of the last requests, in the order of their arrival. Not thread-safe.

    Args:
        directory: where digests of stored segments are kept, in two files that take turns.
    """

    def __init__(self, directory: Path) -> None:
        self._known: dict[bytes, Future[None]] = {}
        self._now, self._before = directory / "recent", directory / "recent.old"
        for path in (self._before, self._now):
            if path.exists():
                self._remember(_read(path))
        if self._now.exists():
            _cut(self._now)

    def get(self, digest: bytes) -> "Future[None] | None":
        """The future of a request that was offered before; None if it was not, or failed."""
        return self._known.get(digest)

    def add(self, digest: bytes, future: "Future[None]") -> None:
        """Remember a request that is being written, and forget the oldest if there are too many."""
        self._known[digest] = future
        if len(self._known) > MOST:
            del self._known[next(iter(self._known))]

    def written(self, digest: bytes) -> None:
        """The request is on disk."""
        if digest in self._known:
            self._known[digest] = _DONE

    def forget(self, digest: bytes) -> None:
        """The request could not be written."""
        self._known.pop(digest, None)

    def load(self, segment: Path) -> None:
        """Remember what a segment of an earlier process holds."""
        if segment.stat().st_size == 0:
            return
        with segment.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as data:
            view = memoryview(data)
            try:
                self._remember(digests(view))
            finally:
                view.release()

    def keep(self, stored: Iterable[bytes]) -> None:
        """Write digests down, before their segment is removed.

        Raises:
            OSError: they cannot be written.
        """
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        file = os.open(self._now, flags, 0o600)
        try:
            os.write(file, b"".join(stored))
            full = os.fstat(file).st_size >= MOST // 2 * DIGEST_BYTES
        finally:
            os.close(file)
        if full:
            self._now.replace(self._before)

    def _remember(self, found: Iterable[bytes]) -> None:
        for digest in found:
            self.add(digest, _DONE)


def _read(path: Path) -> list[bytes]:
    data = path.read_bytes()
    whole = len(data) - len(data) % DIGEST_BYTES
    return [data[at : at + DIGEST_BYTES] for at in range(0, whole, DIGEST_BYTES)]


def _cut(path: Path) -> None:
    """Cut off a digest that was not written whole, so that the next ones are in line again."""
    size = path.stat().st_size
    if size % DIGEST_BYTES:
        os.truncate(path, size - size % DIGEST_BYTES)
