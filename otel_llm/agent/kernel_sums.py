"""Steps' sums of the kernels that journals tell of, made for a whole batch at once.

A record of kernels is one step on one device. It is whole in itself, so nothing is remembered from
one batch to the next, and a batch made again after a death has the same sums.
"""

from collections.abc import Sequence
from itertools import chain

import msgspec
import numpy as np

from otel_llm.clock import MonotonicNs
from otel_llm.facts.joined import Joined, JoinedKernels, StepKernelSums
from otel_llm.facts.kernel import named_together
from otel_llm.kernels.columns import UNKNOWN, Kernels
from otel_llm.kernels.sums import Origin, step_sums


def kernel_sums(facts: Sequence[Joined]) -> list[StepKernelSums]:
    """The sums of each step among the facts that has kernels and no sums yet, in their order."""
    told = [
        fact
        for fact in facts
        if isinstance(fact, JoinedKernels) and fact.kernels.name_index and not fact.summed
    ]
    if not told:
        return []
    sums = step_sums(_columns(told), Origin(told[0].producer, told[0].anchor, "cpu"))
    return [_of(fact, each) for fact, each in zip(told, sums, strict=True)]


def _columns(facts: Sequence[JoinedKernels]) -> Kernels:
    """All of their kernels; a fact's place stands for its step, its times are after its base.

    Operations timed on a CPU are launched by running. Of other sources the launch is not known.
    """
    told = [fact.kernels for fact in facts]
    counts = [len(kernels.name_index) for kernels in told]
    index, names = named_together(told)
    start = np.fromiter(chain.from_iterable(one.offset_ns for one in told), np.int64)
    duration = np.fromiter(chain.from_iterable(one.duration_ns for one in told), np.int64)
    cpu = np.repeat([kernels.source == "cpu" for kernels in told], counts)
    nothing = np.zeros(len(start), np.int64)
    return Kernels(
        names, [""], np.repeat(np.arange(len(facts)), counts),
        np.array(index, np.int64), start, duration, nothing, nothing, nothing,
        np.where(cpu, start, UNKNOWN),
    )  # fmt: skip


def _of(fact: JoinedKernels, sums: StepKernelSums) -> StepKernelSums:
    kernels = fact.kernels
    return msgspec.structs.replace(
        sums,
        producer=fact.producer,
        anchor=fact.anchor,
        seq=kernels.seq,
        source=kernels.source,
        device=kernels.device,
        base_ns=MonotonicNs(kernels.base_ns + sums.base_ns),
        incomplete=fact.incomplete,
    )
