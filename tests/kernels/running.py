"""What a process with the shim left behind, read."""

from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import msgspec

from otel_llm.journal.reader import LostCounts
from otel_llm.kernels import reader, records
from otel_llm.kernels.whose import Whose


class Run(NamedTuple):
    """A ring, read to its end.

    `launched` is correlation id to step, as the driver printed it.
    """

    launched: dict[int, int]
    raw: list[dict[str, int]]
    steps: list[dict[str, int]]
    names: dict[int, str]
    counters: dict[str, int]
    states: list[tuple[str, str]]
    anchors: list[tuple[int, int, int, int]]
    lost: LostCounts
    clean_close: bool
    identities: list[Whose]

    @classmethod
    def of(cls, folder: Path, printed: str) -> "Run":
        """Read the only ring of a folder."""
        [path] = folder.glob("*.ring")
        launched = {int(one): int(two) for one, two in map(str.split, printed.splitlines())}
        return cls.read(path, launched)

    @classmethod
    def read(cls, path: Path, launched: dict[int, int]) -> "Run":
        """Read a ring."""
        found: dict[int, list[dict[str, int]]] = {records.RAW: [], records.STEPS: []}
        totals: dict[str, int] = {}
        states, anchors, identities = [], [], []
        with closing(reader.KernelReader.open(path)) as ring:
            while frames := ring.read():
                for frame in frames:
                    if frame.kind in found:
                        table = reader.rows(frame)
                        names = table.dtype.names or ()
                        found[frame.kind] += [
                            dict(zip(names, row, strict=True)) for row in table.tolist()
                        ]
                    elif frame.kind == records.COUNTERS_KIND:
                        totals = reader.counters(frame)
                    elif frame.kind == records.STATE:
                        states.append(reader.state(frame)[1:])
                    elif frame.kind == records.ANCHOR:
                        anchors.append(tuple(frame.payload.cast("q")))
                    elif frame.kind == records.IDENTITY:
                        identities.append(msgspec.json.decode(frame.payload, type=Whose))
            lost, closed = ring.lost, ring.counters.clean_close
            names_found = dict(ring.names)
        return cls(
            launched, found[records.RAW], found[records.STEPS], names_found, totals, states,
            anchors, lost, closed, list(dict.fromkeys(identities)),
        )  # fmt: skip

    def count_by(self, rows: list[dict[str, int]], *fields: str) -> Counter[tuple[int, ...]]:
        """Counts added up by fields: each aggregate row's count, 1 for each raw row."""
        counts: Counter[tuple[int, ...]] = Counter()
        for row in rows:
            counts[tuple(row[field] for field in fields)] += row.get("count", 1)
        return counts
