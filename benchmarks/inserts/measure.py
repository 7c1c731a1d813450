"""Rounds over the tables: every rung in one process, and the whole way through an `otel-llm up`."""

import multiprocessing
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from benchmarks.inserts.ladder import Cost, climb, merging
from benchmarks.store.blocks import SIZES, cut
from benchmarks.store.fill import Size, fill, open_store
from benchmarks.store.ingest import counted, started
from otel_llm.conventions import Table, Tables
from otel_llm.exporters.clickhouse.writer import insert_arrow_block

TABLES = (Tables.STEPS, Tables.REQUESTS, Tables.CALLS)
WHOLE = "through the interface"
_AGO_NS = 3_600_000_000_000
_SETTLE_S = 3
"""How long `counted` looks on when nothing is merged."""


def rounds(number: int, inserts: int) -> list[dict[str, dict[str, Cost]]]:
    """So many rounds, each table in a new process and a new store: costs by table and rung."""
    work = Path(tempfile.mkdtemp(prefix="otel-llm-inserts-"))
    try:
        bodies = _apart(made, work / "source", inserts)
        return [
            {table.name: _round(work, table, bodies[table.name]) for table in TABLES}
            for _ in range(number)
        ]
    finally:
        shutil.rmtree(work)


def made(folder: Path, inserts: int) -> dict[str, list[bytes]]:
    """Blocks of each table as agents send them, a second of one engine in each."""
    folder.mkdir()
    requests = inserts * max(SIZES[table]["small"] for table in TABLES if table != Tables.STEPS)
    with closing(open_store(folder / "store")) as client:
        fill(client, Size(10 * requests, time.time_ns() - _AGO_NS), print, folder / "fill_s.json")
        return {table.name: cut(client, table, SIZES[table]["small"], inserts) for table in TABLES}


def _round(work: Path, table: Table, bodies: list[bytes]) -> dict[str, Cost]:
    folder = Path(tempfile.mkdtemp(dir=work))
    inside = _apart(climb, folder / "inside", table, bodies, SIZES[table]["small"])
    return {**inside, WHOLE: _through(folder / "up", table, bodies)}


def _apart(work: Callable[..., Any], *given: object) -> Any:  # noqa: ANN401  what `work` returns
    """Do it in a process of its own: a process has one ClickHouse."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, given)


def _through(folder: Path, table: Table, bodies: list[bytes]) -> Cost:
    """What an `up` takes for the same blocks, sent as agents do."""
    with started(folder) as up:
        idle = counted(up, lambda: time.sleep(2))

        def send() -> None:
            for number, body in enumerate(bodies):
                insert_arrow_block(up.client, table.name, body, f"whole/{number}")

        took = counted(up, send)
    merge = merging(took.cpu)
    resting = idle.cpu.total / (idle.seconds + _SETTLE_S) * (took.seconds + _SETTLE_S)
    each = 1000 / len(bodies)
    return Cost(round((took.cpu.total - merge - resting) * each, 2), round(merge * each, 2))
