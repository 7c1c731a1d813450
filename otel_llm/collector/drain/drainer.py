"""The thread that empties the spool: read a segment, store it, remove it."""

import logging
import threading
from pathlib import Path

from otel_llm.collector.drain.batch import batches
from otel_llm.collector.drain.marks import Marks
from otel_llm.collector.drain.quarantine import Quarantine
from otel_llm.collector.drain.store import RefusedError, Store
from otel_llm.collector.spool import Reading, Spool, read_segment
from otel_llm.errors import StoreError
from otel_llm.exporters.clickhouse.errors import EngineError

_log = logging.getLogger(__name__)

_POLL_S = 0.2
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 5.0


class Drainer:
    """Stores what the spool holds, oldest segment first, again and again until it is stored.

    Args:
        spool: where segments come from.
        store: takes their requests.
        quarantine: takes what is damaged.

    Attributes:
        failures: tries that failed, whatever they were about.
        damaged: pieces of segments that were no records.
    """

    def __init__(self, spool: Spool, store: Store, quarantine: Quarantine) -> None:
        self._spool, self._store, self._quarantine = spool, store, quarantine
        self._stop, self._finishing = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="otlp-drain", daemon=True)
        self._pause_s = _FIRST_PAUSE_S
        self._seen_damaged: set[str] = set()
        self.failures = self.damaged = 0

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def finish(self, limit_s: float) -> bool:
        """Store what is there and end, after `limit_s` at the latest but for a running insert.

        Returns:
            Whether everything is stored; if not, the next start stores it.
        """
        self._finishing.set()
        self._thread.join(limit_s)
        self._stop.set()
        self._thread.join()
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
        except (EngineError, StoreError, OSError) as error:
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
        data = segment.read_bytes()
        reading = read_segment(data)
        self._mend(segment, data, reading)
        marks = Marks(segment)
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
