"""A large store, made inside ClickHouse from numbers."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import clickhouse_connect
from clickhouse_connect.driver.client import Client

from otel_llm.exporters.clickhouse.schema import apply

SQL = Path(__file__).parent / "sql"
DATABASE = "otel"
INSTANCES = 8
STEP_NS = 69_120_000
"""Time between two steps of an instance: 10 M steps of 8 instances are a day."""

_PIECE = 2_000_000
"""Rows of one INSERT."""


class Size(NamedTuple):
    """How much there is of everything, for each 10 steps one request.

    Attributes:
        steps: of all instances.
        base_ns: when it begins, in wall nanoseconds.
    """

    steps: int
    base_ns: int

    @property
    def requests(self) -> int:
        """Requests, and calls."""
        return self.steps // 10

    @property
    def end_ns(self) -> int:
        """When the last step begins."""
        return self.base_ns + self.steps // INSTANCES * STEP_NS


def open_store(path: Path) -> Client:
    """A client of the store at `path`, in this process."""
    client = clickhouse_connect.get_client(interface="chdb", path=str(path), database="default")
    client.command(f"CREATE DATABASE IF NOT EXISTS {DATABASE} ENGINE = Atomic")
    client.close()
    return clickhouse_connect.get_client(interface="chdb", path=str(path), database=DATABASE)


def fill(client: Client, size: Size, say: Callable[[str], None], note: Path) -> dict[str, float]:
    """Make every table, of this version, and wait until merges have settled; once for a store.

    Args:
        client: of the store.
        size: how much of everything.
        say: is told of each table.
        note: file that says the store was filled.

    Returns:
        Seconds by table.
    """
    apply(client)
    if note.exists():
        found: dict[str, float] = json.loads(note.read_text(encoding="utf-8"))
        return found
    took = _fill(client, size, say)
    note.write_text(json.dumps(took), encoding="utf-8")
    return took


def _fill(client: Client, size: Size, say: Callable[[str], None]) -> dict[str, float]:
    took: dict[str, float] = {}
    whole = {"spans": size.steps, "requests": size.requests, "calls": size.requests,
             "attempts": size.requests * 20 // 19, "events": 152}  # fmt: skip
    for name, rows in whole.items():
        took[name] = insert(client, size, SQL / f"{name}.sql", rows)
        say(f"{name}: {rows:,} rows in {took[name]:.0f} s")
    for name, each in (("steps", 1), ("kernels", 10)):
        rows = size.steps // INSTANCES * each
        took[name] = sum(
            insert(client, size, SQL / f"{name}.sql", rows, instance=number)
            for number in range(INSTANCES)
        )
        say(f"{name}: {rows * INSTANCES:,} rows in {took[name]:.0f} s")
    began = time.monotonic()
    settle(client)
    say(f"merges settled after {time.monotonic() - began:.0f} s more")
    return took


def insert(client: Client, size: Size, file: Path, rows: int, **more: int) -> float:
    """Run an INSERT of some rows, piece by piece.

    Args:
        client: of the store.
        size: of the store.
        file: the statement, with places for `base_ns`, `step_ns`, `first` and `rows`.
        rows: how many in all.
        **more: values of other places.

    Returns:
        How long it took, in seconds.
    """
    statement = file.read_text(encoding="utf-8")
    began = time.monotonic()
    for first in range(0, rows, _PIECE):
        given = {"base_ns": size.base_ns, "step_ns": STEP_NS, "first": first, **more}
        given["rows"] = min(_PIECE, rows - first)
        client.command(statement, parameters=given, settings=_SETTINGS)
    return time.monotonic() - began


_SETTINGS = {
    "max_insert_threads": 2,
    "min_insert_block_size_rows": 262_144,
    "insert_deduplicate": 0,
    "deduplicate_blocks_in_dependent_materialized_views": 0,
}


def settle(client: Client) -> None:
    """Wait until nothing has been merged for three seconds."""
    quiet = 0
    while quiet < 3:
        running = int(str(client.command("SELECT count() FROM system.merges")))
        quiet = 0 if running else quiet + 1
        time.sleep(1)


def bytes_per_row(client: Client) -> dict[str, float]:
    """Bytes on disk per row, indexes and marks included, by table."""
    sql = (
        "SELECT table, sum(bytes_on_disk) / sum(rows) FROM system.parts "
        f"WHERE active AND database = '{DATABASE}' AND rows > 0 GROUP BY table ORDER BY table"
    )
    return {str(table): round(size, 2) for table, size in client.query(sql).result_rows}
