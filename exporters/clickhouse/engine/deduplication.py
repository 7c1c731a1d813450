"""Mend the tables' deduplication logs before the engine opens them.

ClickHouse 26.9 writes an inserted block's id into the log first and renames the part into place
then. Killed in between, it would take the block for stored when it is sent again, and drop it:
rows would be lost. Such an entry names a part that is not there. A line that was not written whole
would hide all that come after it.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_DROP = "2"
_PART = re.compile(r"(?P<partition>[^_]+)_(?P<first>\d+)_(?P<last>\d+)_\d+(_\d+)?\Z")


class _Part(NamedTuple):
    """A part's partition, and the blocks in it."""

    partition: str
    first: int
    last: int

    @classmethod
    def parse(cls, name: str) -> "_Part | None":
        found = _PART.match(name)
        return cls(found["partition"], int(found["first"]), int(found["last"])) if found else None

    def holds(self, other: "_Part") -> bool:
        return (
            self.partition == other.partition
            and self.first <= other.first
            and other.last <= self.last
        )


def mend(clickhouse: Path) -> int:
    """Mend the deduplication logs of all tables of an engine that is not open.

    Args:
        clickhouse: directory of the engine.

    Returns:
        Blocks that were taken for stored and are not.

    Raises:
        OSError: a log cannot be read or written.
    """
    return sum(_mend_table(logs) for logs in clickhouse.glob("store/*/*/deduplication_logs"))


def _mend_table(logs: Path) -> int:
    files = sorted(logs.glob("deduplication_log_*.txt"), key=_number)
    if not files:
        return 0
    known: dict[str, str] = {}
    for file in files:
        _cut(file)
        for operation, part, block in _records(file):
            if operation == _DROP:
                known.pop(block, None)
            else:
                known[block] = part
    present = _parts(logs.parent)
    missing = {block: part for block, part in known.items() if not _is_there(part, present)}
    with files[-1].open("a", encoding="utf-8") as log:
        log.writelines(f"{_DROP}\t{part}\t{block}\n" for block, part in missing.items())
    return len(missing)


def _number(file: Path) -> int:
    return int(file.stem.rpartition("_")[2])


def _cut(file: Path) -> None:
    """Cut off a last line that was not written whole."""
    text = file.read_bytes()
    whole = text.rfind(b"\n") + 1
    if whole < len(text):
        os.truncate(file, whole)


def _records(file: Path) -> Iterator[tuple[str, str, str]]:
    """Operation, part and block of each line, as far as ClickHouse reads: up to a damaged one."""
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        fields = line.split("\t")
        if len(fields) != 3:
            return
        yield fields[0], fields[1], fields[2]


def _parts(table: Path) -> dict[str, list[_Part]]:
    """The parts in a table's directory, by partition."""
    found: dict[str, list[_Part]] = {}
    for entry in os.scandir(table):
        if (part := _Part.parse(entry.name)) is not None:
            found.setdefault(part.partition, []).append(part)
    return found


def _is_there(name: str, present: dict[str, list[_Part]]) -> bool:
    """Whether a part is there, or one it was merged into. A name that we cannot read counts."""
    part = _Part.parse(name)
    return part is None or any(other.holds(part) for other in present.get(part.partition, ()))
