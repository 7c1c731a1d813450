"""Joined facts to one block: an Arrow stream for one table.

The bytes of a block are made once and kept until they are acknowledged, so that a retry resends
the identical block and ClickHouse can tell.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from otel_llm.conventions import Table, Tables
from otel_llm.exporters.clickhouse.rows.attributes import Attribute
from otel_llm.exporters.clickhouse.rows.common import Columns, Row, by_column
from otel_llm.exporters.clickhouse.rows.device import (
    device_event_row,
    device_row,
    process_rows,
    sample_row,
)
from otel_llm.exporters.clickhouse.rows.energy import (
    ledger_row,
    request_energy_columns,
    step_energy_row,
)
from otel_llm.exporters.clickhouse.rows.event import event_row, producer_row
from otel_llm.exporters.clickhouse.rows.gateway import attempt_row, call_row
from otel_llm.exporters.clickhouse.rows.kernel import (
    kernel_columns,
    kernel_totals_columns,
    step_kernel_names_columns,
    step_kernels_columns,
)
from otel_llm.exporters.clickhouse.rows.request import request_columns
from otel_llm.exporters.clickhouse.rows.schema import arrow_schema
from otel_llm.exporters.clickhouse.rows.step import step_columns
from otel_llm.facts.energy import EnergyWindow, RequestEnergy, StepEnergy
from otel_llm.facts.joined import (
    ByKind,
    Joined,
    JoinedAttempt,
    JoinedCall,
    JoinedDevice,
    JoinedDeviceEvent,
    JoinedKernels,
    JoinedRequest,
    JoinedSample,
    JoinedStep,
    KernelTotals,
    ProducerEvent,
    StepKernelNames,
    StepKernelSums,
    by_kind,
)
from otel_llm.isolation import Guard, salvage

_LARGE = 256 << 10
_COMPRESSED = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)
"""For large blocks, which wait in a spool: arrays of steps' members shrink to a quarter."""


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


class Encoded(NamedTuple):
    """What could be encoded.

    Attributes:
        blocks: one per table that has rows.
        lost: facts that could not be, by table.
    """

    blocks: list[Block]
    lost: Counter[str]


class _Kind(NamedTuple):
    """Facts of one kind and their table: of which facts, and what columns they make."""

    table: Table
    of: type[Joined]
    columns: Callable[[Sequence[Any]], Columns]
    has_rows: Callable[[Any], bool] | None = None

    def chosen(self, kinds: ByKind) -> list[Any]:
        facts = kinds.get(self.of, [])
        return list(facts) if self.has_rows is None else list(filter(self.has_rows, facts))

    def block(self, facts: Sequence[Joined]) -> Block:
        return encode_columns(self.table, self.columns(facts))


def _rows(
    kind: type[Joined],
    table: Table,
    row: Callable[[Any], Row],
    has_rows: Callable[[Any], bool] | None = None,
) -> _Kind:
    return _Kind(table, kind, lambda facts: by_column(map(row, facts)), has_rows)


_KINDS = (
    _rows(JoinedCall, Tables.CALLS, call_row),
    _rows(JoinedAttempt, Tables.ATTEMPTS, attempt_row),
    _Kind(Tables.REQUESTS, JoinedRequest, request_columns),
    _Kind(Tables.STEPS, JoinedStep, step_columns),
    _rows(ProducerEvent, Tables.EVENTS, event_row),
    _rows(JoinedSample, Tables.POWER, sample_row),
    _Kind(
        Tables.GPU_PROCESSES,
        JoinedSample,
        lambda facts: by_column(row for fact in facts for row in process_rows(fact)),
        lambda fact: bool(fact.sample.processes),
    ),
    _rows(JoinedDevice, Tables.GPU_DEVICES, device_row),
    _rows(JoinedDeviceEvent, Tables.GPU_EVENTS, device_event_row),
    _rows(EnergyWindow, Tables.ENERGY_LEDGER, ledger_row),
    _Kind(Tables.REQUEST_ENERGY, RequestEnergy, request_energy_columns),
    _rows(StepEnergy, Tables.STEP_ENERGY, step_energy_row),
    _Kind(Tables.STEP_KERNELS, StepKernelSums, step_kernels_columns),
    _rows(
        ProducerEvent,
        Tables.PRODUCERS,
        producer_row,
        lambda fact: fact.event in ("started", "importing"),
    ),
    _Kind(Tables.KERNELS, JoinedKernels, kernel_columns),
    _Kind(Tables.KERNELS_10S, KernelTotals, kernel_totals_columns),
    _Kind(Tables.STEP_KERNEL_NAMES, StepKernelNames, step_kernel_names_columns),
)


def encode_blocks(facts: Sequence[Joined]) -> list[Block]:
    """Encode joined facts as one block per table that any of them belongs to.

    Raises:
        Exception: one of them cannot be encoded.
    """
    kinds = by_kind(facts)
    chosen = [(kind, kind.chosen(kinds)) for kind in _KINDS]
    return [kind.block(some) for kind, some in chosen if some]


def salvage_blocks(kinds: ByKind) -> Encoded:
    """The same, but a fact that cannot be encoded costs nothing but itself; it is counted."""
    blocks: list[Block] = []
    lost = Counter[str]()
    for kind in _KINDS:
        chosen = kind.chosen(kinds)
        if not chosen:
            continue
        name = kind.table.name
        block, left_out = salvage(Guard(f"rows.{name}"), kind.block, chosen)
        lost[name] += left_out
        if block is not None and block.rows:
            blocks.append(block)
    return Encoded(blocks, +lost)


def encode_columns(table: Table, columns: Columns) -> Block:
    """Encode columns of a table; a name that is missing is a column without entries.

    Raises:
        Exception: columns differ in length, or a value does not fit its type.
    """
    schema = arrow_schema(table)
    batch = pa.RecordBatch.from_arrays(
        [_array(columns.get(field.name, []), field.type) for field in schema], schema=schema
    )
    sink = pa.BufferOutputStream()
    options = _COMPRESSED if batch.nbytes >= _LARGE else None
    with pa.ipc.new_stream(sink, schema, options=options) as stream:
        stream.write_batch(batch)
    return Block(table, batch.num_rows, sink.getvalue().to_pybytes())


def _array(values: Any, kind: pa.DataType) -> pa.Array:  # noqa: ANN401  see `Columns`
    if isinstance(values, Attribute):
        return values.array(kind)
    if isinstance(values, pa.Array):
        return values if values.type == kind else values.cast(kind)
    return pa.array(values, kind)
