"""The thread that empties the spool: read a segment, store it, remove it."""

import logging
import threading
from pathlib import Path

from otel_llm.collector.drain.batch import batches
from otel_llm.collector.drain.marks import Marks, remove_orphans
from otel_llm.collector.drain.quarantine import Quarantine
from otel_llm.collector.drain.store import RefusedError, Store
from otel_llm.collector.spool import Reading, Spool, read_segment
from otel_llm.collector.spool.spool import SUFFIX
from otel_llm.collector.worker import Worker
from otel_llm.errors import StoreError
from otel_llm.exporters.clickhouse.errors import EngineError

_log = logging.getLogger(__name__)

_POLL_S = 0.2
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 5.0
_LAST_S = 5.0
"""What runs when the time is over gets this long to end."""


class Drainer:
    """Stores what the spool holds, oldest segment first, again and again until it is stored.

    Args:
        spool: where segments come from.
        store: takes their requests.
        quarantine: takes what is damaged.

    Attributes:
        failures: tries that failed, whatever they were about.
        damaged: pieces of segments that were no records.
        lost: segments whose file was gone before it was stored.
        worker: the thread.
    """

    def __init__(self, spool: Spool, store: Store, quarantine: Quarantine) -> None:
        self._spool, self._store, self._quarantine = spool, store, quarantine
        remove_orphans(spool.directory, SUFFIX)
        self._stop, self._finishing = threading.Event(), threading.Event()
        self.worker = Worker("otlp-drain", self._run)
        self._pause_s = _FIRST_PAUSE_S
        self._seen_damaged: set[str] = set()
        self.failures = self.damaged = self.lost = 0

    def start(self) -> None:
        """Begin."""
        self.worker.start()

    def finish(self, limit_s: float) -> bool:
        """Store what is there and end, after `limit_s` and a few seconds at the latest.

        A block that takes longer is left to itself: the thread goes on until the process ends.

        Returns:
            Whether everything is stored; if not, the next start stores it.
        """
        self._finishing.set()
        self.worker.join(limit_s)
        self._stop.set()
        if not self.worker.join(_LAST_S):
            _log.warning("A block takes too long; the next start stores it")
        return self._spool.next_closed(0) is None

    def _run(self) -> None:
        while not self._stop.is_set():
            segment = self._spool.next_closed(_POLL_S)
            if segment is not None:
                self._try(segment)
            elif self._finishing.is_set():
                return

    def _try(self, segment: Path) -> None:
        """Store one segment; if that fails, pause."""
        try:
            self.drain(segment)
        except (StoreError, OSError, MemoryError) as error:
            self.failures += 1
            why = f"code {error.code}" if isinstance(error, EngineError) else type(error).__name__
            _log.warning("%s is not stored yet: %s", segment.name, why)
            self._stop.wait(self._pause_s)
            self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)
        else:
            self._pause_s = _FIRST_PAUSE_S

    def drain(self, segment: Path) -> None:
        """Store one segment and remove it.

        Raises:
            EngineError: the store does not take it just now.
            OSError: a file cannot be read or written.
        """
        try:
            data = segment.read_bytes()
        except FileNotFoundError:
            self._lose(segment)
            return
        reading = read_segment(data)
        self._mend(segment, data, reading)
        marks = Marks(segment, segment in self._spool.left)
        for batch in batches(segment.stem, reading.entries):
            while True:
                try:
                    self._store.put(batch, marks)
                    break
                except RefusedError as refused:
                    self._store.set_aside(refused, marks)
        self._spool.remove(segment, [entry.digest for entry in reading.entries])
        marks.remove()
        self._store.settle()

    def _lose(self, segment: Path) -> None:
        """Go on without a segment that somebody removed."""
        self._spool.remove(segment, [])
        self.lost += 1
        _log.error("%s is gone, and what it held is lost", segment)

    def _mend(self, segment: Path, data: bytes, reading: Reading) -> None:
        """Set damaged pieces aside, and cut off an unfinished end."""
        for start, end in reading.damaged:
            self._quarantine.keep_bytes(f"{segment.stem}/{start}", data[start:end])
        if reading.damaged and segment.name not in self._seen_damaged:
            self._seen_damaged.add(segment.name)
            self.damaged += len(reading.damaged)
            _log.warning("%s: %d damaged pieces are set aside", segment.name, len(reading.damaged))
        if reading.torn is not None and segment.stat().st_size > reading.torn:
            self._spool.cut(segment, reading.torn)
