"""Kernels to facts: a step's sums, ten seconds by name, a step by name."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from otel_llm.clock import Anchor, EpochNs, MonotonicNs
from otel_llm.facts import Producer
from otel_llm.facts.joined import KernelTotals, StepKernelNames, StepKernelSums
from otel_llm.kernels.analysis import analyse
from otel_llm.kernels.classes import classifier
from otel_llm.kernels.columns import Ints, Kernels

TEN_S_NS = 10_000_000_000


class Origin(NamedTuple):
    """Whose kernels they are.

    Attributes:
        producer: the engine.
        anchor: clock reading for their times.
        source: who measured.
        rank: the worker's rank in its engine; with several devices in one source, of the first.
    """

    producer: Producer
    anchor: Anchor
    source: str
    rank: int = 0


class Runs(NamedTuple):
    """Kernels summed by some keys. Each array has the shape (runs,).

    Attributes:
        keys: shape (keys, runs); values of the keys, in their order.
        many: how many kernels.
        total_ns: their durations, summed.
        min_ns: the shortest.
        max_ns: the longest.
        first_ns: the first of them began.
    """

    keys: list[Ints]
    many: Ints
    total_ns: Ints
    min_ns: Ints
    max_ns: Ints
    first_ns: Ints


def step_sums(kernels: Kernels, origin: Origin) -> list[StepKernelSums]:
    """One fact for each step and device, ordered by both."""
    classes = classifier().classes
    steps = analyse(kernels, class_numbers(kernels.names), classes)
    first, kind = steps.first.tolist(), [classes[number] for number in steps.kind.tolist()]
    counts, sums = steps.kernels.tolist(), steps.kernel_ns.tolist()
    groups = zip(*(column.tolist() for column in steps[:8]), first[:-1], first[1:], strict=True)
    return [
        StepKernelSums(
            producer=origin.producer, anchor=origin.anchor, rank=origin.rank + device, seq=step,
            source=origin.source, device=kernels.devices[device], base_ns=MonotonicNs(start),
            span_ns=span, busy_ns=busy, launch_gap_ns=launch, wait_gap_ns=wait,
            overlap_ns=overlap, classes=kind[begin:end], kernels=counts[begin:end],
            kernel_ns=sums[begin:end],
        )
        for step, device, start, span, busy, launch, wait, overlap, begin, end in groups
    ]  # fmt: skip


def totals(kernels: Kernels, origin: Origin) -> list[KernelTotals]:
    """One fact for each device and ten seconds of the wall clock, by the kernels' start."""
    ten = (kernels.start_ns + origin.anchor.offset_ns) // TEN_S_NS
    runs = summed(kernels, kernels.device, ten, kernels.name)
    classes = classifier().all_of(kernels.names)
    facts = []
    for begin, end in _stretches(runs.keys[:2]):
        part = slice(begin, end)
        device, number = int(runs.keys[0][begin]), int(runs.keys[1][begin])
        names = runs.keys[2][part].tolist()
        facts.append(
            KernelTotals(
                producer=origin.producer, source=origin.source, device=kernels.devices[device],
                rank=origin.rank + device, time_ns=EpochNs(number * TEN_S_NS),
                names=[kernels.names[name] for name in names],
                classes=[classes[name] for name in names], kernels=runs.many[part].tolist(),
                total_ns=runs.total_ns[part].tolist(), min_ns=runs.min_ns[part].tolist(),
                max_ns=runs.max_ns[part].tolist(),
            )
        )  # fmt: skip
    return facts


def step_names(kernels: Kernels, origin: Origin, kept: str) -> list[StepKernelNames]:
    """One fact for each step and device: its kernels by name."""
    runs = summed(kernels, kernels.step, kernels.device, kernels.name)
    classes = classifier().all_of(kernels.names)
    facts = []
    for begin, end in _stretches(runs.keys[:2]):
        part = slice(begin, end)
        device, names = int(runs.keys[1][begin]), runs.keys[2][part].tolist()
        facts.append(
            StepKernelNames(
                producer=origin.producer, anchor=origin.anchor, seq=int(runs.keys[0][begin]),
                source=origin.source, device=kernels.devices[device], rank=origin.rank + device,
                kept=kept, names=[kernels.names[name] for name in names],
                classes=[classes[name] for name in names],
                first_ns=runs.first_ns[part].tolist(), kernels=runs.many[part].tolist(),
                total_ns=runs.total_ns[part].tolist(), max_ns=runs.max_ns[part].tolist(),
            )
        )  # fmt: skip
    return facts


def class_numbers(names: list[str]) -> Ints:
    """Shape (names,); the class of each as an index into the classifier's classes."""
    number = {name: place for place, name in enumerate(classifier().classes)}
    return np.array([number[classifier()(name)] for name in names], np.int64)


def summed(kernels: Kernels, *keys: Ints) -> Runs:
    """Kernels by some keys, ordered by them, the first most important."""
    order = np.lexsort(keys[::-1])
    ordered = [key[order] for key in keys]
    if not len(order):
        return Runs(ordered, *(np.zeros(0, np.int64),) * 5)
    new = np.zeros(len(order), bool)
    new[0] = True
    for key in ordered:
        new[1:] |= key[1:] != key[:-1]
    begins = np.flatnonzero(new)
    duration, start = kernels.duration_ns[order], kernels.start_ns[order]
    return Runs(
        [key[begins] for key in ordered],
        np.diff(np.append(begins, len(order))),
        np.add.reduceat(duration, begins),
        np.minimum.reduceat(duration, begins),
        np.maximum.reduceat(duration, begins),
        np.minimum.reduceat(start, begins),
    )


def _stretches(keys: list[Ints]) -> Iterator[tuple[int, int]]:
    """Where runs have the same keys: begin and end of each stretch."""
    count = len(keys[0])
    new = np.zeros(count, bool)
    new[:1] = True
    for key in keys:
        new[1:] |= key[1:] != key[:-1]
    begins = np.flatnonzero(new).tolist()
    return zip(begins, [*begins[1:], count], strict=True) if begins else iter(())
