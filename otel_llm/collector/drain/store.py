"""Insert batches: a block per table, each under a name that ClickHouse stores once."""

import logging
from collections import Counter
from collections.abc import Sequence

from otel_llm.collector.decoder import COLUMNS, MalformedError, NativeBlock, decode
from otel_llm.collector.drain.batch import Batch
from otel_llm.collector.drain.marks import Marks
from otel_llm.collector.drain.quarantine import ALL_TABLES, Quarantine
from otel_llm.collector.drain.verdict import in_view, is_memory, patience
from otel_llm.exporters.clickhouse.engine import Engine
from otel_llm.exporters.clickhouse.errors import EngineError

_log = logging.getLogger(__name__)

_DROPPED_TARGET = {"ignore_materialized_views_with_dropped_target_table": "1"}
_FAILING_VIEWS = {"materialized_views_ignore_errors": "1"}


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
        unseen: rows stored that a dependent view failed on and does not have, by table.
    """

    def __init__(self, engine: Engine, quarantine: Quarantine) -> None:
        self._engine = engine
        self._quarantine = quarantine
        self._stored: dict[str, tuple[str, int]] = {}
        self._tries: Counter[str] = Counter()
        self._viewed: set[str] = set()
        self.rows: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter(dict.fromkeys(COLUMNS, 0))
        self.unseen: Counter[str] = Counter(dict.fromkeys(COLUMNS, 0))

    def put(self, batch: Batch, marks: Marks, table: str = ALL_TABLES) -> None:
        """Store a batch. What is stored already is not stored again.

        Args:
            batch: requests of one segment.
            marks: blocks of this segment that were refused before.
            table: the only one that gets its rows.

        Raises:
            EngineError, MemoryError: a block was not taken just now.
            RefusedError: it never will be; to be marked, and the segment put again.
            OSError: the quarantine cannot be written.
        """
        if f"{batch.name}/{table}" in marks:
            self._in_parts(batch, marks, table)
            return
        for block in self._decoded(batch, marks, table):
            if table in (ALL_TABLES, block.table):
                self._put_block(batch, block, marks)

    def _put_block(self, batch: Batch, block: NativeBlock, marks: Marks) -> None:
        name = f"{batch.name}/{block.table}"
        if name in marks:
            self._in_parts(batch, marks, block.table)
        elif name not in self._stored:
            try:
                self._insert(name, block, {})
            except (EngineError, MemoryError) as error:
                self._failed(error, batch, block, marks)
            self._stored[name] = (block.table, block.rows)

    def _insert(self, name: str, block: NativeBlock, settings: dict[str, str]) -> None:
        columns = ", ".join(f"`{column}`" for column in COLUMNS[block.table])
        with self._engine.session() as handle:
            handle.set({"insert_deduplication_token": name, **_DROPPED_TARGET, **settings})
            handle.insert(f"INSERT INTO {block.table} ({columns})", "Native", block.body)

    def _failed(
        self, error: EngineError | MemoryError, batch: Batch, block: NativeBlock, marks: Marks
    ) -> None:
        """Raise what is to be done about a block; return if it is stored but for a view.

        Rows that a view failed on are on disk: stored in halves, under other names, they would
        double.
        """
        name = f"{batch.name}/{block.table}"
        self._tries[name] += 1
        if in_view(error):
            self._viewed.add(name)
        if self._tries[name] < patience(error):
            raise error
        if name in self._viewed:
            self._insert(name, block, _FAILING_VIEWS)
            self.unseen[block.table] += block.rows
            _log.warning("%s is stored, but not by a view that fails on it", name)
        elif is_memory(error) and len(batch.entries) > 1 and marks.left:
            raise error
        else:
            raise RefusedError(name, batch, block.rows) from error

    def _in_parts(self, batch: Batch, marks: Marks, table: str) -> None:
        """Store the halves of what was refused; a single request is set aside."""
        if len(batch.entries) == 1:
            self._quarantine.keep_request(batch, table)
            return
        for half in batch.halves():
            self.put(half, marks, table)

    def _decoded(self, batch: Batch, marks: Marks, table: str) -> Sequence[NativeBlock]:
        """The blocks of a batch.

        Without the memory for it a batch is stored in halves, but only if it is known that the
        whole is not there already. A single request is tried often, and then set aside.
        """
        name = f"{batch.name}/{table}"
        try:
            return decode(batch.signal, batch.bodies(), batch.windows())
        except MalformedError as error:
            raise RefusedError(name, batch, 0) from error
        except MemoryError as error:
            self._tries[name] += 1
            if len(batch.entries) == 1:
                hopeless = self._tries[name] >= patience(error)
            else:
                hopeless = self._is_new(batch, marks)
            if not hopeless:
                raise
            raise RefusedError(name, batch, 0) from error

    def _is_new(self, batch: Batch, marks: Marks) -> bool:
        """Whether no block of a batch can be there."""
        return not marks.left and not any(
            name.startswith(f"{batch.name}/") for name in (*self._stored, *self._viewed)
        )

    def settle(self) -> None:
        """Count what was stored since the last time, each block once however often it was put."""
        for table, rows in self._stored.values():
            self.rows[table] += rows
        for known in (self._stored, self._tries, self._viewed):
            known.clear()

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
            cause = getattr(error.__cause__, "code", type(error.__cause__).__name__)
            _log.warning("%s is set aside: refused with %s", error.block, cause)
