"""Requests of one segment that are stored together."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from otel_llm.collector.decoder import Signal, Window
from otel_llm.collector.spool import Entry
from otel_llm.collector.spool.record import SIGNALS

BATCH_BYTES = 256 << 20
"""Requests of a batch take this much at most, and so do their rows, unless a single one's do.

A segment may be half stored when a newer version reads it. If that one cuts elsewhere, its blocks
have other names and are stored twice. So this does not change without a change of
`record.MAGIC` and a reader for old segments that cuts them as before.
"""


class Batch(NamedTuple):
    """Requests of one signal, one after the other.

    Attributes:
        segment: name of their segment.
        signal: theirs.
        first: number of the first among the segment's requests of this signal.
        entries: the requests.
    """

    segment: str
    signal: Signal
    first: int
    entries: Sequence[Entry]

    @property
    def name(self) -> str:
        """Its place in the spool: the same whenever the segment is read."""
        return f"{self.segment}/{self.signal}/{self.first}-{self.first + len(self.entries) - 1}"

    def bodies(self) -> list[bytes]:
        """The requests as bytes."""
        return [entry.body for entry in self.entries]

    def windows(self) -> list[Window]:
        """The times that were taken of each."""
        return [entry.window for entry in self.entries]

    def halves(self) -> "tuple[Batch, Batch]":
        """The batch in two parts. It must have two requests at least."""
        middle = len(self.entries) // 2
        first = self._replace(entries=self.entries[:middle])
        return first, self._replace(first=self.first + middle, entries=self.entries[middle:])


def batches(segment: str, entries: Sequence[Entry]) -> Iterator[Batch]:
    """Cut a segment into batches.

    Where it is cut depends on the records alone, so a segment that is read again gives the same
    blocks, and ClickHouse knows them by their names.
    """
    for signal in SIGNALS:
        first, size, group = 0, 0, list[Entry]()
        for entry in (entry for entry in entries if entry.signal == signal):
            # What has no row takes memory, too, while it is decoded.
            added = max(entry.expanded, len(entry.body))
            if group and size + added > BATCH_BYTES:
                yield Batch(segment, signal, first, group)
                first, size, group = first + len(group), 0, []
            group.append(entry)
            size += added
        if group:
            yield Batch(segment, signal, first, group)
