"""The rungs: INSERTs of the same rows, each with one thing more than the one before."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from benchmarks.store.cpu import Spent, spent
from otel_llm.conventions import Table
from otel_llm.exporters.clickhouse import schema
from otel_llm.exporters.clickhouse.engine import Engine
from otel_llm.exporters.clickhouse.engine.embedded import Handle
from otel_llm.exporters.clickhouse.rows.schema import arrow_schema

UNSYNCED = "fsync_after_insert = 0, fsync_part_directory = 0"
SETTINGS = {"deduplicate_blocks_in_dependent_materialized_views": "1", "max_threads": "2"}
IDLE_S = 2.0

Insert = Callable[[int], object]


class Cost(NamedTuple):
    """CPU of one INSERT, in core-milliseconds, without what the idle process takes.

    Attributes:
        insert: of all threads but those that merge.
        merge: of the threads that merge, until nothing is merged any more.
    """

    insert: float
    merge: float


def climb(folder: Path, table: Table, bodies: list[bytes], rows: int) -> dict[str, Cost]:
    """Measure every rung in this process, on a new store.

    Args:
        folder: an empty directory.
        table: of the schema.
        bodies: its rows as Arrow streams, one for each INSERT.
        rows: how many rows each of them has.
    """
    engine = Engine(folder)
    with contextlib.closing(engine.client()) as client:
        schema.apply(client)
    try:
        with engine.session() as handle:
            idle = _idle(handle)
            return {
                name: measured(handle, insert, len(bodies), idle)
                for name, insert in _rungs(engine, handle, table, bodies, rows)
            }
    finally:
        engine.close()


def _rungs(
    engine: Engine, handle: Handle, table: Table, bodies: list[bytes], rows: int
) -> Iterator[tuple[str, Insert]]:
    columns = f"({', '.join(arrow_schema(table).names)})"
    arrow = "ArrowStream"
    _one_column(handle)
    yield "one column", lambda _: handle.run(f"INSERT INTO one SELECT number FROM numbers({rows})")
    _plain(handle, table)
    yield (
        "all columns",
        lambda number: handle.insert(f"INSERT INTO plain {columns}", arrow, bodies[number]),
    )
    _copy(handle, table, "copy", f", {UNSYNCED}")
    yield (
        "codecs, order, indexes, window",
        lambda number: handle.insert(f"INSERT INTO copy {columns}", arrow, bodies[number]),
    )
    _copy(handle, table, "synced", "")
    yield (
        "on the disk before the answer",
        lambda number: handle.insert(f"INSERT INTO synced {columns}", arrow, bodies[number]),
    )
    statement = f"INSERT INTO {table.name} {columns}"
    yield "its views", lambda number: handle.insert(statement, arrow, bodies[number])

    def alone(number: int) -> None:
        with engine.session() as own:
            own.set(SETTINGS | {"insert_deduplication_token": f"alone/{number}"})
            own.insert(statement, arrow, bodies[number])

    yield "a session and a token of its own", alone


def _one_column(handle: Handle) -> None:
    handle.run(f"CREATE TABLE one (a UInt64) ENGINE = MergeTree ORDER BY a SETTINGS {UNSYNCED}")


def _plain(handle: Handle, table: Table) -> None:
    """The table's columns and types, and nothing else of it."""
    sent = ", ".join(f"'{name}'" for name in arrow_schema(table).names)
    columns = handle.run(
        "SELECT arrayStringConcat(groupArray(concat(name, ' ', type)), ', ') FROM system.columns"
        f" WHERE database = 'otel' AND table = '{table.name}' AND name IN ({sent})",
        "TSVRaw",
    ).decode()
    handle.run(
        f"CREATE TABLE plain ({columns}) ENGINE = MergeTree ORDER BY tuple() SETTINGS {UNSYNCED}"
    )


def _copy(handle: Handle, table: Table, name: str, settings: str) -> None:
    """The table as the schema makes it, without its views, under another name."""
    made = handle.run(f"SHOW CREATE TABLE {table.name}", "TSVRaw").decode().strip()
    handle.run(made.replace(f"otel.{table.name}", f"otel.{name}", 1) + settings)


def measured(handle: Handle, insert: Insert, count: int, idle: float) -> Cost:
    """What each of `count` INSERTs takes.

    Args:
        handle: of the engine, to see when merges have ended.
        insert: does the INSERT of a number.
        count: how many.
        idle: cores that the process takes when nothing is asked of it.
    """
    before, began = spent(os.getpid()), time.monotonic()
    for number in range(count):
        insert(number)
    settle(handle)
    took = spent(os.getpid()).since(before)
    merge = merging(took)
    rest = took.total - merge - idle * (time.monotonic() - began)
    return Cost(round(rest / count * 1000, 2), round(merge / count * 1000, 2))


def settle(handle: Handle) -> None:
    """Wait until nothing has been merged for a second."""
    quiet = 0
    while quiet < 5:
        running = handle.run("SELECT count() FROM system.merges") != b"0\n"
        quiet = 0 if running else quiet + 1
        time.sleep(0.2)


def _idle(handle: Handle) -> float:
    settle(handle)
    before, began = spent(os.getpid()), time.monotonic()
    time.sleep(IDLE_S)
    return spent(os.getpid()).since(before).total / (time.monotonic() - began)


def merging(took: Spent) -> float:
    """CPU seconds of the threads that merge."""
    return sum(used for name, used in took.by_thread.items() if name.startswith("Merge"))
