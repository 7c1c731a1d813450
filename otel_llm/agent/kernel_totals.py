"""Kernels by name over ten seconds, kept open until the ten seconds are over.

What is open belongs to the join's checkpoint, so an agent that dies counts every kernel once.
Kernels that come after their ten seconds were given make a further fact: the rows of both add up.
"""

from collections.abc import Iterator

import msgspec

from otel_llm.agent.open_facts import Kept
from otel_llm.clock import Anchor, EpochNs
from otel_llm.facts import Producer, StepKernels
from otel_llm.facts.joined import KernelTotals
from otel_llm.kernels.classes import classifier
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
    """

    source: str
    device: str
    time_ns: EpochNs
    by_name: dict[str, list[int]] = {}


class OpenKernelTotals(Kept[OpenTotals]):
    """The ten seconds that are open, of all devices of one engine."""

    def __init__(self, producer: Producer) -> None:
        super().__init__("kernels_10s", OpenTotals, MOST_OPEN)
        self._producer = producer

    def add(self, kernels: StepKernels, anchor: Anchor) -> list[KernelTotals]:
        """Count a step's kernels; give what had to make room."""
        given: list[KernelTotals] = []
        base = anchor.wall(kernels.base_ns)
        parts = zip(kernels.name_index, kernels.offset_ns, kernels.duration_ns, strict=True)
        number, ours = -1, None
        for name, offset, duration in parts:
            if ours is None or (base + offset) // TEN_S_NS != number:
                number = (base + offset) // TEN_S_NS
                ours = self._open(kernels, number, given)
            _count(ours.by_name, kernels.names[name], duration)
            if len(ours.by_name) >= MOST_NAMES:
                given += self._give(f"{number} {kernels.source} {kernels.device}")
                ours = None
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

    def _open(self, kernels: StepKernels, number: int, given: list[KernelTotals]) -> OpenTotals:
        key = f"{number} {kernels.source} {kernels.device}"
        ours = self.get(key)
        if ours is None:
            begun = EpochNs(number * TEN_S_NS)
            ours = OpenTotals(kernels.source, kernels.device, begun, {})
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
            producer=self._producer, source=ours.source, device=ours.device, time_ns=ours.time_ns,
            names=names, classes=classifier().all_of(names), kernels=kernels, total_ns=total,
            min_ns=shortest, max_ns=longest,
        )  # fmt: skip


def _count(by_name: dict[str, list[int]], name: str, duration: int) -> None:
    sums = by_name.get(name)
    if sums is None:
        by_name[name] = [1, duration, duration, duration]
        return
    sums[0] += 1
    sums[1] = min(sums[1] + duration, MOST_NS)
    if duration < sums[2]:
        sums[2] = duration
    elif duration > sums[3]:
        sums[3] = duration
