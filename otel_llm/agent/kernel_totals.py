"""Kernels by name over ten seconds, kept open until the ten seconds are over.

What is open belongs to the join's checkpoint, so an agent that dies counts every kernel once.
Kernels that come after their ten seconds were given make a further fact: the rows of both add up.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np

from otel_llm.agent.open_facts import Change, Kept
from otel_llm.clock import Anchor, EpochNs
from otel_llm.facts import Producer, StepKernels
from otel_llm.facts.joined import KernelTotals
from otel_llm.kernels.classes import classifier
from otel_llm.kernels.columns import Ints
from otel_llm.kernels.sums import TEN_S_NS

MOST_OPEN = 64
"""Devices times ten seconds that may be open at once; past that the oldest is given."""
MOST_NAMES = 4_096
"""Distinct names of one device in ten seconds; past that they are given and begun anew."""
MOST_ALIKE = 4_096
"""Steps laid by before they are added up."""

MOST_NS = (1 << 63) - 1
"""Where a sum of durations stops, whatever a journal says: checkpoint and column hold no more."""


class OpenTotals(msgspec.Struct):
    """Ten seconds of one device, not over yet.

    Attributes:
        source: who measured.
        device: the device's name or UUID.
        time_ns: the ten seconds begin, in wall nanoseconds.
        by_name: for each name: kernels, their durations summed, the shortest, the longest.
        rank: the worker's rank in its engine.
    """

    source: str
    device: str
    time_ns: EpochNs
    by_name: dict[str, list[int]] = {}
    rank: int = 0


class Sums(NamedTuple):
    """Kernels that were summed up elsewhere. Each array has the shape (rows,).

    Attributes:
        names: distinct names.
        devices: distinct devices, by rank from `rank` on.
        rank: the worker's rank in its engine.
        source: who measured.
        wall_ns: the first kernel of each row began.
        device: index into `devices`.
        name: index into `names`.
        many: how many kernels.
        total_ns: their durations, summed.
        min_ns: the shortest.
        max_ns: the longest.
    """

    names: Sequence[str]
    devices: Sequence[str]
    rank: int
    source: str
    wall_ns: Ints
    device: Ints
    name: Ints
    many: Ints
    total_ns: Ints
    min_ns: Ints
    max_ns: Ints


class Alike(NamedTuple):
    """Steps of one device and the same kernels, one after another, that began in one ten seconds.

    An engine's steps are mostly alike. Their durations are laid by, and added up all at once.

    Attributes:
        key: of the ten seconds that are open for them.
        wall_ns: begin and end of the ten seconds.
        first: the first of the steps.
        durations_ns: shape (steps, kernels).
    """

    key: str
    wall_ns: tuple[int, int]
    first: StepKernels
    durations_ns: list[Sequence[int]]

    def takes(self, kernels: StepKernels, base_ns: EpochNs) -> bool:
        """Whether a step is one of them, and there is room for it."""
        first, (begin, end) = self.first, self.wall_ns
        return (
            len(self.durations_ns) < MOST_ALIKE
            and kernels.device == first.device
            and kernels.source == first.source
            and kernels.name_index == first.name_index
            and kernels.names == first.names
            and base_ns + min(kernels.offset_ns) >= begin
            and base_ns + max(kernels.offset_ns) < end
        )


class OpenKernelTotals(Kept[OpenTotals]):
    """The ten seconds that are open, of all devices of one engine."""

    def __init__(self, producer: Producer) -> None:
        super().__init__("kernels_10s", OpenTotals, MOST_OPEN)
        self.producer = producer
        self._alike: Alike | None = None

    def add(self, kernels: StepKernels, anchor: Anchor) -> list[KernelTotals]:
        """Count a step's kernels; give what had to make room."""
        if not kernels.name_index:
            return []
        base_ns = anchor.wall(kernels.base_ns)
        if self._alike is not None and self._alike.takes(kernels, base_ns):
            self._alike.durations_ns.append(kernels.duration_ns)
            return []
        self._add_up()
        given = self._add(kernels, base_ns)
        self._alike = self._begun(kernels, base_ns)
        return given

    def _begun(self, kernels: StepKernels, base_ns: EpochNs) -> Alike | None:
        """For steps like this one, which was counted; None if its ten seconds lack one of them."""
        number = base_ns // TEN_S_NS
        span = (number * TEN_S_NS, (number + 1) * TEN_S_NS)
        alike = Alike(f"{number} {kernels.source} {kernels.device}", span, kernels, [])
        ours = self.get(alike.key)
        used = {kernels.names[place] for place in set(kernels.name_index)}
        all_in = ours is not None and used <= ours.by_name.keys()
        return alike if all_in and alike.takes(kernels, base_ns) else None

    def _add_up(self) -> None:
        """Add what was laid by to its ten seconds."""
        alike, self._alike = self._alike, None
        if alike is None or not alike.durations_ns:
            return
        by_name, names = self._facts[alike.key].by_name, alike.first.names
        self.touch(alike.key)
        by_kernel = zip(*alike.durations_ns, strict=True)
        for place, each in zip(alike.first.name_index, by_kernel, strict=True):
            _count(by_name, names[place], len(each), sum(each), min(each), max(each))

    def _add(self, kernels: StepKernels, base: EpochNs) -> list[KernelTotals]:
        """Count a step's kernels one by one."""
        given: list[KernelTotals] = []
        names, ours, until = kernels.names, None, 0
        parts = zip(kernels.name_index, kernels.offset_ns, kernels.duration_ns, strict=True)
        for place, offset, duration in parts:
            if ours is None or not until - TEN_S_NS <= base + offset < until:
                number = (base + offset) // TEN_S_NS
                until = (number + 1) * TEN_S_NS
                ours = self._open(kernels.source, kernels.device, number, given)
            sums = ours.by_name.get(names[place])
            if sums is not None:
                _add(sums, 1, duration, duration, duration)
                continue
            ours.by_name[names[place]] = [1, duration, duration, duration]
            if len(ours.by_name) >= MOST_NAMES:
                given += self._give(f"{until // TEN_S_NS - 1} {kernels.source} {kernels.device}")
                ours = None
        return given

    def add_sums(self, sums: Sums) -> list[KernelTotals]:
        """Count kernels that were summed up, by their first; give what had to make room."""
        self._add_up()
        given: list[KernelTotals] = []
        for number, device, name, *parts in _merged(sums):
            ours = self._open(sums.source, sums.devices[device], number, given, sums.rank + device)
            _count(ours.by_name, sums.names[name], *parts)
            if len(ours.by_name) >= MOST_NAMES:
                given += self._give(f"{number} {sums.source} {sums.devices[device]}")
        return given

    def give_before(self, wall_ns: EpochNs) -> list[KernelTotals]:
        """Give the ten seconds that were over ten seconds before this moment."""
        last = wall_ns - 2 * TEN_S_NS
        due = [str(key) for key, ours in self._facts.items() if ours.time_ns <= last]
        if due:
            self._add_up()
        return [fact for key in due for fact in self._give(key)]

    def give_all(self) -> list[KernelTotals]:
        """Give all of them: nothing follows."""
        self._add_up()
        return [fact for key, _ in self.items() for fact in self._give(str(key))]

    def changes(self) -> list[Change]:
        """As `Kept.changes`."""
        self._add_up()
        return super().changes()

    def _open(
        self, source: str, device: str, number: int, given: list[KernelTotals], rank: int = 0
    ) -> OpenTotals:
        key = f"{number} {source} {device}"
        ours = self.get(key)
        if ours is None:
            begun = EpochNs(number * TEN_S_NS)
            ours = OpenTotals(source, device, begun, {}, rank)
            oldest = self.put(key, ours)
            if oldest is not None:
                given.append(self._fact(oldest))
        self.touch(key)
        return ours

    def _give(self, key: str) -> Iterator[KernelTotals]:
        ours = self.take(key)
        if ours is not None:
            yield self._fact(ours)

    def _fact(self, ours: OpenTotals) -> KernelTotals:
        names = list(ours.by_name)
        columns = [list(column) for column in zip(*ours.by_name.values(), strict=True)]
        kernels, total, shortest, longest = columns or [[], [], [], []]
        return KernelTotals(
            producer=self.producer, source=ours.source, device=ours.device, time_ns=ours.time_ns,
            rank=ours.rank,
            names=names, classes=classifier().all_of(names), kernels=kernels, total_ns=total,
            min_ns=shortest, max_ns=longest,
        )  # fmt: skip


def _count(by_name: dict[str, list[int]], name: str, *parts: int) -> None:
    sums = by_name.get(name)
    if sums is None:
        by_name[name] = [*parts]
    else:
        _add(sums, *parts)


def _add(sums: list[int], many: int, total: int, shortest: int, longest: int) -> None:
    sums[0] += many
    sums[1] = min(sums[1] + total, MOST_NS)
    if shortest < sums[2]:
        sums[2] = shortest
    if longest > sums[3]:
        sums[3] = longest


def _merged(sums: Sums) -> Iterator[tuple[int, ...]]:
    """Rows of the same ten seconds, device and name together."""
    keys = (sums.wall_ns // TEN_S_NS, sums.device, sums.name)
    order = np.lexsort(keys[::-1])
    ordered = [key[order] for key in keys]
    new = np.ones(len(order), bool)
    new[1:] = np.any([key[1:] != key[:-1] for key in ordered], axis=0)
    begins = np.flatnonzero(new)
    ufuncs: list[tuple[np.ufunc, Any]] = [
        (np.add, sums.many), (np.add, sums.total_ns), (np.minimum, sums.min_ns),
        (np.maximum, sums.max_ns),
    ]  # fmt: skip
    parts = [ufunc.reduceat(values[order], begins).tolist() for ufunc, values in ufuncs]
    return zip(*(key[begins].tolist() for key in ordered), *parts, strict=True)
