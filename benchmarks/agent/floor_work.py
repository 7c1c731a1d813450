"""What an agent makes of one second of load, taken apart so that it can be made again."""

import tempfile
from typing import NamedTuple

import pyarrow as pa

from benchmarks.agent.load import Load
from benchmarks.agent.loop import POLLS, Loop
from otel_llm.agent.spool import Batch
from otel_llm.conventions import ALL_TABLES, Table, Tables
from otel_llm.exporters.clickhouse.rows.common import Columns
from otel_llm.exporters.clickhouse.rows.encode import encode_columns
from otel_llm.exporters.prometheus import MetricSet

WARM_S = 5
"""So many seconds until windows of energy close and requests are told each second."""
_TABLES = {table.name: table for table in ALL_TABLES}
_MADE = {Tables.REQUESTS, Tables.REQUEST_ENERGY, Tables.STEPS, Tables.STEP_KERNELS}


class Work(NamedTuple):
    """A second's output.

    Attributes:
        columns: values of each block, as Python has them; lists of numbers are arrays.
        spans: batches of spans.
        metrics: series of the page.
    """

    columns: list[tuple[Table, Columns]]
    spans: list[Batch]
    metrics: MetricSet

    def batches(self) -> list[Batch]:
        """Make the blocks again; spans are as they were."""
        blocks = [encode_columns(table, columns) for table, columns in self.columns]
        rows = [Batch("clickhouse", one.table.name, one.rows, one.body) for one in blocks]
        return [*rows, *(Batch("otlp", one.target, one.items, one.body) for one in self.spans)]


def work_of(load: Load) -> Work:
    """What an agent made of one second, once it was warm.

    Raises:
        RuntimeError: a table has no block, or blocks made again are not those that it made.
    """
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        loop = Loop(load, folder)
        for _ in range(POLLS * WARM_S):
            loop.write()
            loop.take()
        before = loop.spooled(after=0)
        for _ in range(POLLS):
            loop.write()
            loop.take()
        batches = loop.spooled(after=before[-1].id)
        metrics = loop.agent.metrics.set
        loop.close()
    rows = [batch for batch in batches if batch.sink == "clickhouse"]
    columns = [(_TABLES[batch.target], columns_of(batch.body)) for batch in rows]
    work = Work(columns, [batch for batch in batches if batch.sink == "otlp"], metrics)
    again = [_content(batch.body) for batch in work.batches() if batch.sink == "clickhouse"]
    missing = _MADE - {table for table, _ in columns}
    if missing or again != [_content(batch.body) for batch in rows]:
        names = [table.name for table in missing]
        message = f"a second of an agent was not made again; without a block: {names}"
        raise RuntimeError(message)
    return work


def columns_of(body: bytes) -> Columns:
    """A block's values, as arrays."""
    table = _content(body)
    pairs = zip(table.column_names, table.columns, strict=True)
    return {name: column.combine_chunks() for name, column in pairs}


def _content(body: bytes) -> pa.Table:
    return pa.ipc.open_stream(body).read_all()
