"""CPU time of another process, by its threads' names."""

import os
from collections import Counter
from pathlib import Path
from typing import NamedTuple

_TICKS = os.sysconf("SC_CLK_TCK")


class Spent(NamedTuple):
    """CPU seconds, of the user and of the kernel for it.

    Attributes:
        total: of the whole process, threads that have ended included.
        by_thread: of the threads there are, by name; the main thread is `main`.
    """

    total: float
    by_thread: dict[str, float]

    def since(self, earlier: "Spent") -> "Spent":
        """What was spent between two looks."""
        names = {
            name: used - earlier.by_thread.get(name, 0.0) for name, used in self.by_thread.items()
        }
        ended = self.total - earlier.total - sum(names.values())
        return Spent(self.total - earlier.total, names | {"ended": ended})


def spent(pid: int) -> Spent:
    """What a process has spent so far."""
    threads: Counter[str] = Counter()
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            name, seconds = _read(task / "stat")
        except (FileNotFoundError, ProcessLookupError):  # it has ended
            continue
        threads["main" if task.name == str(pid) else name] += seconds
    return Spent(_read(Path(f"/proc/{pid}/stat"))[1], dict(threads))


def _read(stat: Path) -> tuple[str, float]:
    """Name and CPU seconds; the name stands in brackets and may hold any sign."""
    head, _, rest = stat.read_text(encoding="utf-8").rpartition(")")
    fields = rest.split()
    return head.partition("(")[2], (int(fields[11]) + int(fields[12])) / _TICKS
