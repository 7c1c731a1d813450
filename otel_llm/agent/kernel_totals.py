"""Kernels by name over ten seconds, kept open until the ten seconds are over.

What is open belongs to the join's checkpoint, so an agent that dies counts every kernel once.
Kernels that come after their ten seconds were given make a further fact: the rows of both add up.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np

from otel_llm.agent.open_facts import Kept
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


class OpenKernelTotals(Kept[OpenTotals]):
    """The ten seconds that are open, of all devices of one engine."""

    def __init__(self, producer: Producer) -> None:
        super().__init__("kernels_10s", OpenTotals, MOST_OPEN)
        self.producer = producer

    def add(self, kernels: StepKernels, anchor: Anchor) -> list[KernelTotals]:
        """Count a step's kernels; give what had to make room."""
        given: list[KernelTotals] = []
        base, names, ours, until = anchor.wall(kernels.base_ns), kernels.names, None, 0
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
        return [
            fact
            for key, ours in self.items()
            if ours.time_ns <= last
            for fact in self._give(str(key))
        ]

    def give_all(self) -> list[KernelTotals]:
        """Give all of them: nothing follows."""
        return [fact for key, _ in self.items() for fact in self._give(str(key))]

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
