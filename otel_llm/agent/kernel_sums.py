"""Steps' sums of the kernels that journals tell of, made for a whole batch at once.

A record of kernels is one step on one device. It is whole in itself, so nothing is remembered from
one batch to the next, and a batch made again after a death has the same sums.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from otel_llm.conventions import Tables
from otel_llm.exporters.clickhouse.rows import Block, encode_columns
from otel_llm.exporters.clickhouse.rows.attributes import lists
from otel_llm.exporters.clickhouse.rows.common import ENGINE, TIME, Columns, taken, wall_times
from otel_llm.exporters.clickhouse.rows.kernel import SUMMED
from otel_llm.exporters.clickhouse.rows.told import told
from otel_llm.facts.joined import JoinedKernels
from otel_llm.kernels.analysis import Steps, analyse
from otel_llm.kernels.classes import classifier
from otel_llm.kernels.columns import UNKNOWN, Kernels
from otel_llm.kernels.sums import class_numbers

_TOLD = {
    **ENGINE,
    "model": "producer.model",
    "step_seq": "kernels.seq",
    "source": "kernels.source",
    "device": "kernels.device",
    "incomplete": "incomplete",
}


def has_sums(fact: JoinedKernels) -> bool:
    """Whether there is something to add up, and nobody has."""
    return bool(fact.kernels.name_index) and not fact.summed


def kernel_sums(facts: Sequence[JoinedKernels]) -> Block:
    """The sums of steps' kernels as rows, in their order.

    Args:
        facts: at least one; each has sums.
    """
    kernels, classes = _kernels(facts), classifier().classes
    steps = analyse(kernels, class_numbers(kernels.names), classes)
    return encode_columns(Tables.STEP_KERNELS, _columns(facts, steps, classes))


def _kernels(facts: Sequence[JoinedKernels]) -> Kernels:
    """All of their kernels; a fact's place stands for its step, its times are after its base.

    Operations timed on a CPU are launched by running. Of other sources the launch is not known.
    """
    kernels = told([fact.kernels for fact in facts])
    cpu = np.array([fact.kernels.source == "cpu" for fact in facts])[kernels.record]
    nothing = np.zeros(len(cpu), np.int64)
    return Kernels(
        kernels.names, [""], kernels.record.astype(np.int64), kernels.name.astype(np.int64),
        kernels.offset_ns, kernels.duration_ns, nothing, nothing, nothing,
        np.where(cpu, kernels.offset_ns, UNKNOWN),
    )  # fmt: skip


def _columns(facts: Sequence[JoinedKernels], steps: Steps, classes: Sequence[str]) -> Columns:
    """Columns of `llm_step_kernels`.

    Args:
        facts: one for each entry.
        steps: what each adds up to; `start_ns` is after the fact's `base_ns`.
        classes: names of the classes that `steps.kind` counts.
    """
    times = wall_times(facts, {"base": "kernels.base_ns"})
    bases = times.pop("base").view(pa.int64())
    ends = steps.first.astype(np.int32).tobytes()
    kinds = pa.DictionaryArray.from_arrays(steps.kind.astype(np.int32), pa.array(classes))
    return {
        **taken(facts, _TOLD),
        **times,
        "rank": np.zeros(len(facts), np.uint16),
        "start": pc.add_checked(pa.array(steps.start_ns), bases).view(TIME),
        **{name: pa.array(getattr(steps, name)) for name in SUMMED},
        "class": lists(ends, kinds),
        "kernels": lists(ends, pa.array(steps.kernels).cast(pa.uint32())),
        "kernel_ns": lists(ends, pa.array(steps.kernel_ns).cast(pa.uint64())),
        "busy_bound": np.zeros(len(facts), bool),
    }
