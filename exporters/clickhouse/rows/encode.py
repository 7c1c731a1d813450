"""Joined facts to one block: an Arrow stream for one table.

The bytes of a block are made once and kept until they are acknowledged, so that a retry resends
the identical block and ClickHouse can tell.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from otel_llm.conventions import Table, Tables
from otel_llm.exporters.clickhouse.rows.common import Row
from otel_llm.exporters.clickhouse.rows.device import device_event_row, sample_row
from otel_llm.exporters.clickhouse.rows.event import event_row, producer_row
from otel_llm.exporters.clickhouse.rows.gateway import attempt_row, call_row
from otel_llm.exporters.clickhouse.rows.kernel import (
    Columns,
    kernel_columns,
    kernel_totals_columns,
    step_kernel_names_columns,
    step_kernels_row,
)
from otel_llm.exporters.clickhouse.rows.request import request_row
from otel_llm.exporters.clickhouse.rows.schema import arrow_schema
from otel_llm.exporters.clickhouse.rows.step import step_row
from otel_llm.facts.joined import (
    Joined,
    JoinedAttempt,
    JoinedCall,
    JoinedDeviceEvent,
    JoinedKernels,
    JoinedRequest,
    JoinedSample,
    JoinedStep,
    KernelTotals,
    ProducerEvent,
    StepKernelNames,
    StepKernelSums,
)


class Block(NamedTuple):
    """Rows of one table, ready to be inserted.

    Attributes:
        table: the table.
        rows: how many rows.
        body: an Arrow IPC stream of one record batch.
    """

    table: Table
    rows: int
    body: bytes


_ROWS: dict[type[Joined], tuple[Table, Callable[[Any], Row]]] = {
    JoinedCall: (Tables.CALLS, call_row),
    JoinedAttempt: (Tables.ATTEMPTS, attempt_row),
    JoinedRequest: (Tables.REQUESTS, request_row),
    JoinedStep: (Tables.STEPS, step_row),
    ProducerEvent: (Tables.EVENTS, event_row),
    JoinedSample: (Tables.POWER, sample_row),
    JoinedDeviceEvent: (Tables.GPU_EVENTS, device_event_row),
    StepKernelSums: (Tables.STEP_KERNELS, step_kernels_row),
}

_COLUMNS: dict[type[Joined], tuple[Table, Callable[[Any], Columns]]] = {
    JoinedKernels: (Tables.KERNELS, kernel_columns),
    KernelTotals: (Tables.KERNELS_10S, kernel_totals_columns),
    StepKernelNames: (Tables.STEP_KERNEL_NAMES, step_kernel_names_columns),
}
"""Facts that stand for many rows each."""


def encode_blocks(facts: Sequence[Joined]) -> list[Block]:
    """Encode joined facts as one block per table that any of them belongs to."""
    blocks = [
        _block(table, _by_column(table, [row(fact) for fact in facts if type(fact) is kind]))
        for kind, (table, row) in _ROWS.items()
    ]
    born = [fact for fact in facts if isinstance(fact, ProducerEvent) and fact.event == "started"]
    blocks.append(_block(Tables.PRODUCERS, _by_column(Tables.PRODUCERS, map(producer_row, born))))
    blocks += [
        _block(table, columns([fact for fact in facts if type(fact) is kind]))
        for kind, (table, columns) in _COLUMNS.items()
    ]
    return [block for block in blocks if block.rows]


def _by_column(table: Table, rows: Iterable[Row]) -> Columns:
    columns: Columns = {column.name: [] for column in table.sent_columns}
    for row in rows:
        for name, value in row.items():
            columns[name].append(value)
    return columns


def _block(table: Table, columns: Columns) -> Block:
    schema = arrow_schema(table)
    batch = pa.RecordBatch.from_arrays(
        [_array(columns.get(field.name, []), field.type) for field in schema], schema=schema
    )
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as stream:
        stream.write_batch(batch)
    return Block(table, batch.num_rows, sink.getvalue().to_pybytes())


def _array(values: Any, kind: pa.DataType) -> pa.Array:  # noqa: ANN401  list or Arrow array
    return values.cast(kind) if isinstance(values, pa.Array) else pa.array(values, kind)
