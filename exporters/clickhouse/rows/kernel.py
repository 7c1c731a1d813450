"""Kernels as columns. One record holds a whole step's kernels, so no row is made in between."""

from collections.abc import Sequence

from otel_llm.exporters.clickhouse.rows.common import clock_columns, producer_columns
from otel_llm.facts.joined import JoinedKernels

Columns = dict[str, list[object]]


def kernel_columns(facts: Sequence[JoinedKernels]) -> Columns:
    """Columns of `llm_kernels`, one entry per kernel."""
    columns: Columns = {}
    for fact in facts:
        for name, values in _columns(fact).items():
            columns.setdefault(name, []).extend(values)
    return columns


def _columns(fact: JoinedKernels) -> Columns:
    kernels = fact.kernels
    count = len(kernels.name_index)
    base = fact.anchor.wall(kernels.base_ns)
    same = {
        **producer_columns(fact.producer),
        "dp_rank": fact.producer.dp_rank,
        "step_seq": kernels.seq,
        "source": kernels.source,
        "device": kernels.device,
        **clock_columns(fact.producer.boot_id, fact.anchor),
    }
    return {
        **{name: [value] * count for name, value in same.items()},
        "name": [kernels.names[index] for index in kernels.name_index],
        "start": [base + offset for offset in kernels.offset_ns],
        "duration_ns": list(kernels.duration_ns),
    }
