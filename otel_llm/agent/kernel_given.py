"""Facts of steps that are over: exact where every kernel is there, bounds by their sums else."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

from otel_llm.agent.kernel_detail import LOW, Detail
from otel_llm.agent.kernel_rows import (
    Rows,
    Setting,
    bound_sums,
    columns,
    exact_sums,
    is_whole,
    single,
    together,
)
from otel_llm.agent.kernel_state import OpenKernels
from otel_llm.facts.joined import Joined, JoinedKernels, StepKernelSums
from otel_llm.kernels.sums import step_names
from otel_llm.spans.step import step_ids


class Over(NamedTuple):
    """A step that is over.

    Attributes:
        seq: its number.
        raw: its single kernels; None if there are none.
        sums: its sums; None if they have not come.
        incomplete: kernels of it may be missing.
    """

    seq: int
    raw: Rows | None
    sums: Rows | None
    incomplete: bool


def over(steps: Mapping[int, OpenKernels], newest: int) -> list[Over]:
    """Steps by the low 32 bits of their numbers, with all that came of them.

    One without rows is left out: they were overwritten while no agent ran, and that is counted.

    Args:
        steps: in the order in which they are to be given.
        newest: greatest number of a step so far.
    """
    given = []
    for low, step in steps.items():
        if not step.rows:
            continue
        seq = whole(low, newest) if step.seq is None else step.seq
        raw = together(step.raw) if step.raw else None
        sums = together(step.sums) if step.sums else None
        given.append(Over(seq, raw, sums, incomplete=step.incomplete or sums is None))
    return given


def sums_of(steps: Iterable[Over], to: Setting, *, last: bool) -> list[Joined]:
    """The sums of steps.

    Args:
        steps: these.
        to: whose they are.
        last: sums that have not come by now are lost. Else they will come, and count then.
    """
    exact: list[tuple[int, Rows]] = []
    given: list[Joined] = []
    broken = set()
    for step in steps:
        if step.incomplete:
            broken.add(step.seq)
        if _is_exact(step, last=last) and step.raw is not None:
            exact.append((step.seq, step.raw))
        elif step.sums is not None:
            given += bound_sums(step.seq, step.sums, to)
    given += exact_sums(exact, to)
    return [_marked(fact, broken) for fact in given]


def in_detail(step: Over, to: Setting, why: str, span_ratio: float) -> list[Joined]:
    """The single kernels of a step, and its sums by name.

    Args:
        step: one that has single kernels; nothing is given of another.
        to: whose it is.
        why: it is kept.
        span_ratio: share of steps that have a span.
    """
    if step.raw is None:
        return []
    ids = step_ids(to.producer.instance_id, step.seq, span_ratio)
    kernels = [
        JoinedKernels(to.producer, to.anchor, one, ids, incomplete=step.incomplete, summed=True)
        for one in single(step.seq, step.raw, to)
    ]
    return [*kernels, *step_names(columns([(step.seq, step.raw)], to), to.origin, why)]


def kept(steps: Iterable[Over], to: Setting, detail: Detail, span_ratio: float) -> list[Joined]:
    """Those of steps that are kept in detail."""
    given: list[Joined] = []
    for step in steps:
        why = detail.why(step.seq)
        if step.raw is not None and why:
            detail.is_kept(step.seq, why)
            given += in_detail(step, to, why, span_ratio)
    return given


def whole(low: int, newest: int) -> int:
    """A step's whole number from its low 32 bits: the nearest to the newest one."""
    if not low:
        return 0
    seq = newest - ((newest - low) & LOW)
    return seq if seq >= 0 and newest - seq <= 1 << 31 else seq + (1 << 32)


def _is_exact(step: Over, *, last: bool) -> bool:
    """Whether the single kernels are all there are, as far as can be known."""
    if step.raw is None:
        return False
    return last if step.sums is None else is_whole(step.raw, step.sums)


def _marked(fact: Joined, broken: set[int]) -> Joined:
    if isinstance(fact, StepKernelSums) and fact.seq in broken:
        return msgspec.structs.replace(fact, incomplete=True)
    return fact
