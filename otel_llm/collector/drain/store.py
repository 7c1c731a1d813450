"""Insert batches: a block per table, each under a name that ClickHouse stores once."""

import logging
from collections import Counter
from collections.abc import Sequence

from otel_llm.collector.decoder import COLUMNS, MalformedError, NativeBlock, decode
from otel_llm.collector.drain.batch import Batch
from otel_llm.collector.drain.marks import Marks
from otel_llm.collector.drain.quarantine import Quarantine
from otel_llm.exporters.clickhouse.engine import Engine
from otel_llm.exporters.clickhouse.errors import EngineError

_log = logging.getLogger(__name__)

_ALL = "*"
"""Stands for every table: the decoder refused the batch."""


class RefusedError(Exception):
    """The store, or the decoder, did not take a block, and time will not mend it.

    Attributes:
        block: the block's name.
        batch: what it was made of.
        rows: how many rows it has; 0 if that is not known.
    """

    def __init__(self, block: str, batch: Batch, rows: int) -> None:
        super().__init__(block)
        self.block, self.batch, self.rows = block, batch, rows


class Store:
    """Stores batches in `otel_traces`, `otel_logs` and `otel_metrics_*`.

    Args:
        engine: with the schema applied.
        quarantine: takes what can never be stored.

    Attributes:
        rows: rows stored, by table.
        dropped: rows set aside, by table.
    """

    def __init__(self, engine: Engine, quarantine: Quarantine) -> None:
        self._engine = engine
        self._quarantine = quarantine
        self._stored: dict[str, tuple[str, int]] = {}
        self.rows: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter(dict.fromkeys(COLUMNS, 0))

    def put(self, batch: Batch, marks: Marks) -> None:
        """Store a batch. What is stored already is not stored again.

        Args:
            batch: requests of one segment.
            marks: blocks of this segment that were refused before.

        Raises:
            EngineError: ClickHouse did not take a block just now.
            RefusedError: it, or the decoder, never will; to be marked, and the segment put again.
            OSError: the quarantine cannot be written.
        """
        if f"{batch.name}/{_ALL}" in marks:
            self._in_parts(batch, marks, None)
            return
        for block in _decoded(batch, _ALL):
            self._put_block(batch, block, marks)

    def _put_block(self, batch: Batch, block: NativeBlock, marks: Marks) -> None:
        name = f"{batch.name}/{block.table}"
        if name in marks:
            self._in_parts(batch, marks, block.table)
            return
        columns = ", ".join(f"`{column}`" for column in COLUMNS[block.table])
        with self._engine.session() as handle:
            handle.set({"insert_deduplication_token": name})
            try:
                handle.insert(f"INSERT INTO {block.table} ({columns})", "Native", block.body)
            except EngineError as error:
                if is_lasting(error):
                    raise RefusedError(name, batch, block.rows) from error
                raise
        self._stored[name] = (block.table, block.rows)

    def _in_parts(self, batch: Batch, marks: Marks, table: str | None) -> None:
        """Store the halves of what was refused; a single request is set aside."""
        if len(batch.entries) == 1:
            self._quarantine.keep_request(f"{batch.name}/{table or 'undecoded'}", batch.entries[0])
            return
        for half in batch.halves():
            if table is None:
                self.put(half, marks)
                continue
            for block in _decoded(half, table):
                if block.table == table:
                    self._put_block(half, block, marks)

    def settle(self) -> None:
        """Count what was stored since the last time, each block once however often it was put."""
        for table, rows in self._stored.values():
            self.rows[table] += rows
        self._stored.clear()

    def set_aside(self, error: RefusedError, marks: Marks) -> None:
        """Mark what was refused, so that the next `put` goes on without it.

        Raises:
            OSError: it cannot be written down.
        """
        marks.add(error.block)
        if len(error.batch.entries) == 1:
            table = error.block.rpartition("/")[2]
            self.dropped[table] += error.rows or error.batch.entries[0].items
            # Never the cause's text: it may quote what was in the request.
            code = getattr(error.__cause__, "code", 0)
            _log.warning("%s is set aside: refused with code %s", error.block, code)


def _decoded(batch: Batch, table: str) -> Sequence[NativeBlock]:
    try:
        return decode(batch.signal, batch.bodies(), batch.windows())
    except MalformedError as error:
        name = f"{batch.name}/{table}"
        raise RefusedError(name, batch, 0) from error


_TOO_MANY_PARTS = 252
_PASSING = frozenset(
    {16, 47, 60, 74, 75, 76, 81, 159, 210, 236, 241, 242, 243, 319, 394, 439, 497, 1002}
)
"""Not the block's fault: schema, memory, disk, time, rights, shutdown, or no code at all."""


def is_lasting(error: EngineError) -> bool:
    """Whether ClickHouse will refuse the same block again, however long one waits.

    TOO_MANY_PARTS means either that one block makes too many partitions, which stays so, or that
    the table waits for merges.
    """
    if error.code == _TOO_MANY_PARTS:
        return "partitions for single INSERT block" in error.detail
    return error.code not in _PASSING
