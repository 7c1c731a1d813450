"""Kernels as columns. One fact holds many kernels, so no row is made in between."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

from otel_llm.exporters.clickhouse.rows.common import (
    Row,
    clock_columns,
    engine_columns,
    producer_columns,
)
from otel_llm.facts.joined import (
    JoinedKernels,
    KernelTotals,
    StepKernelNames,
    StepKernelSums,
)

Columns = dict[str, Any]
"""Column name to its values: a list, or an Arrow array of the column's type."""


def kernel_columns(facts: Sequence[JoinedKernels]) -> Columns:
    """Columns of `llm_kernels`, one entry per kernel."""
    import numpy as np
    import pyarrow as pa

    if not facts:
        return {}
    counts = [len(fact.kernels.name_index) for fact in facts]
    columns = _spread([_same(fact) for fact in facts], counts)
    index, names = _named(facts)
    starts = [
        np.asarray(fact.kernels.offset_ns, np.int64) + fact.anchor.wall(fact.kernels.base_ns)
        for fact in facts
    ]
    durations = [np.asarray(fact.kernels.duration_ns, np.uint64) for fact in facts]
    return {
        **columns,
        "name": pa.DictionaryArray.from_arrays(pa.array(index, pa.int32()), names),
        "start": pa.array(np.concatenate(starts)).cast(pa.timestamp("ns", "UTC")),
        "duration_ns": pa.array(np.concatenate(durations)),
    }


def step_kernels_row(fact: StepKernelSums) -> Row:
    """A row of `llm_step_kernels`."""
    return {
        **engine_columns(fact.producer, ""),
        "rank": fact.rank,
        "step_seq": fact.seq,
        "source": fact.source,
        "device": fact.device,
        "start": fact.anchor.wall(fact.base_ns),
        "span_ns": fact.span_ns,
        "busy_ns": fact.busy_ns,
        "launch_gap_ns": fact.launch_gap_ns,
        "wait_gap_ns": fact.wait_gap_ns,
        "overlap_ns": fact.overlap_ns,
        "class": fact.classes,
        "kernels": fact.kernels,
        "kernel_ns": fact.kernel_ns,
        "incomplete": fact.incomplete,
        **clock_columns(fact.producer.boot_id, fact.anchor),
    }


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


def _same(fact: JoinedKernels) -> Row:
    """What all kernels of a fact share."""
    kernels = fact.kernels
    return {
        **producer_columns(fact.producer),
        "dp_rank": fact.producer.dp_rank,
        "step_seq": kernels.seq,
        "source": kernels.source,
        "device": kernels.device,
        **clock_columns(fact.producer.boot_id, fact.anchor),
    }


def _spread(same: Sequence[Row], counts: Sequence[int]) -> Columns:
    """Each row as often as its count says, as dictionary or number arrays."""
    import numpy as np
    import pyarrow as pa

    columns: Columns = {}
    for name in same[0]:
        values = [row[name] for row in same]
        if isinstance(values[0], str):
            known: dict[object, int] = {}  # a dictionary may hold each value once
            places = [known.setdefault(value, len(known)) for value in values]
            indices = np.repeat(np.array(places, np.int32), counts)
            columns[name] = pa.DictionaryArray.from_arrays(indices, pa.array(known, pa.string()))
        else:
            columns[name] = pa.array(np.repeat(np.array(values), counts))
    return columns


def _named(facts: Sequence[JoinedKernels]) -> tuple[Any, list[str]]:
    """For each kernel the index of its name among all names."""
    import numpy as np

    known: dict[str, int] = {}
    indices = []
    for fact in facts:
        ours = [known.setdefault(name, len(known)) for name in fact.kernels.names]
        indices.append(np.array(ours or [0], np.int32)[np.asarray(fact.kernels.name_index, int)])
    return np.concatenate(indices), list(known)


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
