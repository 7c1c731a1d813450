"""A profile while it is read, and the kernels that come of it.

Numbers are kept in arrays and names once, about 50 bytes a kernel and 16 a launch, so that a trace
file of a gigabyte needs a few hundred megabytes of memory.
"""

from array import array
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from otel_llm.facts.kernel import KernelSource
from otel_llm.kernels.columns import LONGEST_NS, UNKNOWN, Ints, Kernels

MOST_NAME = 4_096
"""Longest name that is kept, in characters."""
MAX_STAMP_NS = 1 << 62
_COLUMNS = ("name", "start_ns", "duration_ns", "device", "stream", "correlation")


class Profile(NamedTuple):
    """What a file holds.

    Attributes:
        source: kineto or nsys.
        kernels: with the steps that caused them; times as in the file, in nanoseconds.
        offset_ns: what makes wall time of these; 0 if they are wall time, None if not known.
        steps: how many step marks the file has.
        dropped: what was left out or cut, by reason.
        host: host name, if the file tells it.
        rank: the process's rank, if the file tells it.
    """

    source: KernelSource
    kernels: Kernels
    offset_ns: int | None
    steps: int
    dropped: Counter[str]
    host: str = ""
    rank: int = 0


class Reading:
    """Collects kernels, launches and step marks in any order.

    Attributes:
        dropped: what was left out or cut, by reason: `negative` durations, `absurd` times,
            `malformed` events, `name_cut`.
    """

    def __init__(self) -> None:
        self.dropped: Counter[str] = Counter()
        self._names: dict[str, int] = {}
        self._devices: dict[str, int] = {}
        self._columns = {name: array("q") for name in _COLUMNS}
        self._launches = array("q"), array("q")
        self._marks = array("q"), array("q"), array("q")

    def kernel(
        self, name: str, start_ns: int, duration_ns: int, device: str, stream: int, correlation: int
    ) -> None:
        """A kernel, copy or fill; left out and counted if it cannot be."""
        if duration_ns < 0:
            self.dropped["negative"] += 1
            return
        if not 0 <= start_ns <= MAX_STAMP_NS or duration_ns > LONGEST_NS:
            self.dropped["absurd"] += 1
            return
        if len(name) > MOST_NAME:
            self.dropped["name_cut"] += 1
            name = name[:MOST_NAME]
        number = self._names.setdefault(name, len(self._names))
        place = self._devices.setdefault(device, len(self._devices))
        values = (number, start_ns, duration_ns, place, stream, correlation)
        try:
            for column, value in zip(self._columns.values(), values, strict=True):
                column.append(value)
        except OverflowError:
            self._undo()
            self.dropped["malformed"] += 1

    def launch(self, correlation: int, at_ns: int) -> None:
        """The call that launched all kernels of this correlation id began."""
        if 0 <= at_ns <= MAX_STAMP_NS and 0 < correlation <= MAX_STAMP_NS:
            self._launches[0].append(correlation)
            self._launches[1].append(at_ns)

    def mark(self, number: int | None, start_ns: int, duration_ns: int) -> None:
        """A step on the CPU. Without a number it is numbered by its place in time, from 1."""
        if 0 <= start_ns <= MAX_STAMP_NS and 0 <= duration_ns <= LONGEST_NS:
            told = UNKNOWN if number is None or number > MAX_STAMP_NS else number
            for column, value in zip(
                self._marks, (start_ns, start_ns + duration_ns, told), strict=True
            ):
                column.append(value)

    @property
    def steps(self) -> int:
        """Step marks so far."""
        return len(self._marks[0])

    def kernels(self, devices: Sequence[str] | None = None) -> Kernels:
        """All of them, ordered by start, each with its launch and step.

        A kernel belongs to the step during which the CPU launched it, found by correlation id. One
        whose launch the file does not hold belongs to none.
        """
        columns = {name: _ints(column) for name, column in self._columns.items()}
        launch = self._launched(columns["correlation"])
        found = Kernels(
            names=list(self._names), devices=list(devices or self._devices),
            step=self._step_of(launch), launch_ns=launch, **columns,
        )  # fmt: skip
        return found.take(np.argsort(found.start_ns, kind="stable"))

    def _undo(self) -> None:
        shortest = min(len(column) for column in self._columns.values())
        for column in self._columns.values():
            del column[shortest:]

    def _launched(self, correlation: Ints) -> Ints:
        ids, stamps = map(_ints, self._launches)
        if not len(ids):
            return np.full(len(correlation), UNKNOWN)
        # Of several calls with one id (runtime and driver) the first began the launch.
        order = np.lexsort((stamps, ids))
        ids, stamps = ids[order], stamps[order]
        place = np.minimum(np.searchsorted(ids, correlation), len(ids) - 1)
        return np.where(ids[place] == correlation, stamps[place], UNKNOWN)

    def _step_of(self, launch: Ints) -> Ints:
        begin, end, number = map(_ints, self._marks)
        if not len(begin):
            return np.zeros(len(launch), np.int64)
        order = np.argsort(begin, kind="stable")
        begin, end, number = begin[order], end[order], number[order]
        number = np.where(number == UNKNOWN, np.arange(1, len(number) + 1), number)
        place = np.searchsorted(begin, launch, side="right") - 1
        inside = (place >= 0) & (launch != UNKNOWN) & (launch < end[np.maximum(place, 0)])
        return np.where(inside, number[place], 0)


def _ints(column: "array[int]") -> Ints:
    return np.frombuffer(column, np.int64).copy() if column else np.zeros(0, np.int64)
