"""An embedded store to measure in: statements, their times and what columns take on disk."""

import json
import re
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from otel_llm.exporters.clickhouse import schema
from otel_llm.exporters.clickhouse.engine import Engine, Handle

Figures = dict[str, Any]

ROWS = {
    "llm_gateway_calls": 100_000,
    "llm_requests": 500_000,
    "llm_steps": 100_000,
    "llm_kernels": 2_000_000,
    "llm_step_kernels": 200_000,
    "gpu_power": 500_000,
}
"""Rows of each table."""


class Asked(NamedTuple):
    """What a query took, warm: median of several, and the rows it read."""

    ms: float
    rows: int


class Store:
    """The schema of the repository in an engine of its own.

    Args:
        handle: a session of that engine.
    """

    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    def run(self, sql: str) -> str:
        """The answer to a statement as text."""
        return self._handle.run(sql).decode().strip()

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """The answer to a query."""
        answer: dict[str, Any] = json.loads(self._handle.run(sql, "JSON"))
        found: list[dict[str, Any]] = answer["data"]
        return found

    def seconds(self, sql: str) -> float:
        """Wall time of a statement."""
        began = time.perf_counter()
        self._handle.run(sql, "Null")
        return time.perf_counter() - began

    def cpu_seconds(self, sql: str) -> float:
        """CPU time that the whole process spends while a statement runs."""
        began = time.process_time()
        self._handle.run(sql, "Null")
        return time.process_time() - began

    def ask(self, sql: str, times: int = 7) -> Asked:
        """Ask a query again and again."""
        rows = int(json.loads(self._handle.run(sql, "JSON"))["statistics"]["rows_read"])
        return Asked(
            round(statistics.median(self.seconds(sql) for _ in range(times)) * 1e3, 1), rows
        )

    def fill(self, table: str, rows: str) -> float:
        """Insert generated rows into a table and merge them to a part a day; CPU seconds."""
        told = {row["name"] for row in self.rows(f"DESCRIBE ({rows})")}
        columns = ", ".join(name for name in self.columns(table) if name in told)
        spent = self.cpu_seconds(f"INSERT INTO {table} ({columns}) SELECT {columns} FROM ({rows})")
        self.run(f"OPTIMIZE TABLE {table} FINAL")
        return spent

    def columns(self, table: str) -> dict[str, str]:
        """Type of each column, by name."""
        return {row["name"]: row["type"] for row in self.rows(f"DESCRIBE {table}")}

    def bytes_by_column(self, table: str) -> dict[str, int]:
        """What each column takes, compressed."""
        sql = f"""SELECT name, data_compressed_bytes AS bytes FROM system.columns
            WHERE database = currentDatabase() AND table = '{table}'"""
        return {row["name"]: int(row["bytes"]) for row in self.rows(sql)}

    def bytes(self, table: str) -> int:
        """What a table takes, indexes included."""
        sql = f"""SELECT sum(bytes_on_disk) FROM system.parts
            WHERE database = currentDatabase() AND table = '{table}' AND active"""
        return int(self.run(sql))

    def variant(self, name: str, table: str, *changes: tuple[str, str]) -> None:
        """Make a table as one of the schema is made, but for some text, with the same rows."""
        statements = schema.statements()
        [sql] = [each.sql for each in statements if each.creates == ("TABLE", table)]
        for pattern, text in (rf"EXISTS {table}$", f"EXISTS {name}"), *changes:
            sql, found = re.subn(pattern, text, sql, flags=re.MULTILINE)
            if not found:
                message = f"{pattern} is not in the statement of {table}"
                raise ValueError(message)
        self.run(f"DROP TABLE IF EXISTS {name}")
        self.run(sql)
        alters = re.compile(rf"^ALTER TABLE {table}\b", re.MULTILINE)
        for each in [each.sql for each in statements if alters.search(each.sql)]:
            self.run(alters.sub(f"ALTER TABLE {name}", each))
        self.run(f"INSERT INTO {name} SELECT * FROM {table}")
        self.run(f"OPTIMIZE TABLE {name} FINAL")


@contextmanager
def opened() -> Iterator[Store]:
    """A store in a directory that is removed afterwards."""
    directory = Path(tempfile.mkdtemp(prefix="bench-schema-"))
    engine = Engine(directory / "data", 4 << 30)
    try:
        with closing(engine.client()) as client:
            schema.apply(client)
        with engine.session() as handle:
            # Else the second asking of a question would be answered from what the first found out.
            handle.set({"use_query_condition_cache": "0"})
            yield Store(handle)
    finally:
        engine.close()
        shutil.rmtree(directory)
