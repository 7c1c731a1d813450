"""Kernels as columns. One fact holds many kernels, so no row is made in between."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

import pyarrow as pa
import pyarrow.compute as pc

from otel_llm.exporters.clickhouse.rows.common import (
    ENGINE,
    TIME,
    WRITER,
    Columns,
    Row,
    clock_columns,
    engine_columns,
    producer_columns,
    taken,
    wall_times,
)
from otel_llm.exporters.clickhouse.rows.told import told
from otel_llm.facts.joined import (
    JoinedKernels,
    KernelTotals,
    StepKernelNames,
    StepKernelSums,
)

_KERNELS = {
    **WRITER,
    "dp_rank": "producer.dp_rank",
    "step_seq": "kernels.seq",
    "source": "kernels.source",
    "device": "kernels.device",
}
SUMMED = ("span_ns", "busy_ns", "launch_gap_ns", "wait_gap_ns", "overlap_ns")
"""Columns of a step's times on a device."""
_SUMS = {
    **ENGINE,
    "model": "producer.model",
    "rank": "rank",
    "step_seq": "seq",
    "source": "source",
    "device": "device",
    **{name: name for name in SUMMED},
    "class": "classes",
    "kernels": "kernels",
    "kernel_ns": "kernel_ns",
    "incomplete": "incomplete",
    "busy_bound": "bound",
}


def kernel_columns(facts: Sequence[JoinedKernels]) -> Columns:
    """Columns of `llm_kernels`, one entry per kernel."""
    kernels = told([fact.kernels for fact in facts])
    rows = pa.array(kernels.record)
    times = wall_times(facts, {"base": "kernels.base_ns"})
    bases = times.pop("base").view(pa.int64()).take(rows)
    return {
        **{name: each.repeated(rows) for name, each in taken(facts, _KERNELS).items()},
        **{name: each.take(rows) for name, each in times.items()},
        "name": pa.DictionaryArray.from_arrays(pa.array(kernels.name), kernels.names),
        "start": pc.add_checked(pa.array(kernels.offset_ns), bases).view(TIME),
        "duration_ns": pa.array(kernels.duration_ns),
    }


def step_kernels_columns(facts: Sequence[StepKernelSums]) -> Columns:
    """Columns of `llm_step_kernels`, one entry per step and device."""
    return {**taken(facts, _SUMS), **wall_times(facts, {"start": "base_ns"})}


def kernel_totals_columns(facts: Sequence[KernelTotals]) -> Columns:
    """Columns of `llm_kernels_10s`, one entry per name of each fact."""
    same = [
        {
            **engine_columns(fact.producer, ""),
            "rank": fact.rank,
            "source": fact.source,
            "device": fact.device,
            "time": fact.time_ns,
        }
        for fact in facts
    ]
    fields = ("name", "class", "kernels", "total_ns", "min_ns", "max_ns")
    values = [
        (fact.names, fact.classes, fact.kernels, fact.total_ns, fact.min_ns, fact.max_ns)
        for fact in facts
    ]
    return _flat(same, fields, values)


def step_kernel_names_columns(facts: Sequence[StepKernelNames]) -> Columns:
    """Columns of `llm_step_kernel_names`, one entry per name of each fact."""
    same = [
        {
            **producer_columns(fact.producer),
            "dp_rank": fact.producer.dp_rank,
            "rank": fact.rank,
            "step_seq": fact.seq,
            "source": fact.source,
            "device": fact.device,
            "kept": fact.kept,
            **clock_columns(fact.producer.boot_id, fact.anchor),
        }
        for fact in facts
    ]
    fields = ("name", "class", "start", "kernels", "total_ns", "max_ns")
    values = [
        (
            fact.names, fact.classes, [fact.anchor.wall(first) for first in fact.first_ns],
            fact.kernels, fact.total_ns, fact.max_ns,
        )
        for fact in facts
    ]  # fmt: skip
    return _flat(same, fields, values)


def _flat(
    same: Sequence[Row], fields: Sequence[str], values: Sequence[Sequence[Sequence[object]]]
) -> Columns:
    """Facts of several entries each, laid out entry by entry."""
    columns: Columns = {
        field: list(chain.from_iterable(fact[place] for fact in values))
        for place, field in enumerate(fields)
    }
    for name in same[0] if same else ():
        columns[name] = list(chain.from_iterable(_repeated(same, name, values)))
    return columns


def _repeated(
    same: Sequence[Mapping[str, object]], name: str, values: Sequence[Sequence[Sequence[object]]]
) -> Iterable[list[object]]:
    for row, fact in zip(same, values, strict=True):
        yield [row[name]] * len(fact[0])
