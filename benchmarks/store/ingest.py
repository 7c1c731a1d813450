"""What it costs a real `otel-llm up` to store spans and facts: all CPU of its process, merges too.

The ceiling is taken in the same process: the same spans, copied by ClickHouse into a table alike.
"""

import http.client
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from multiprocessing.pool import Pool, ThreadPool
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from clickhouse_connect.driver.client import Client

from benchmarks import report
from benchmarks.ingest.flood import running, wait_empty
from benchmarks.otlp import spans
from benchmarks.store.blocks import Sent
from benchmarks.store.cpu import Spent, spent
from benchmarks.store.fill import settle
from otel_llm.exporters.clickhouse.client import connect
from otel_llm.exporters.clickhouse.writer import insert_arrow_block

ROUNDS = 3
LONGER = 3
"""So many times the spans again: then most of them have been merged once."""
CONNECTIONS = 4
SPOOL_BYTES = 512 << 20
MEMORY_BYTES = 4 << 30
"""The copy inserts blocks of a million rows, which the default does not hold."""
AHEAD_BYTES = 128 << 20
"""The sender pauses while the spool holds more."""

_ALIKE = (
    "CREATE TABLE copy AS otel_traces",
    "CREATE TABLE copy_trace_id_ts AS otel_traces_trace_id_ts",
    "CREATE MATERIALIZED VIEW copy_mv TO copy_trace_id_ts AS SELECT TraceId, "
    "min(Timestamp) AS Start, max(Timestamp) AS End FROM copy WHERE TraceId != '' GROUP BY TraceId",
)
_COPY = "INSERT INTO copy SELECT * FROM otel_traces"


class Cost(NamedTuple):
    """What some work took.

    Attributes:
        seconds: until its rows were in the table.
        cpu: of the whole process of `up`, until its merges had ended too.
    """

    seconds: float
    cpu: Spent


class Up(NamedTuple):
    """A running `up`, its data directory, and a client of its ClickHouse."""

    pid: int
    otlp_url: str
    directory: Path
    client: Client


def ingest(folder: Path, requests: int, blocks: list[Sent]) -> dict[str, Any]:
    """All figures of the way in: the part `ingest` of `store.json`.

    Args:
        folder: an empty directory on the disk that is measured.
        requests: how many of `spans.PER_REQUEST` spans each.
        blocks: of facts.
    """
    return span_part(folder / "short", requests) | {
        "longer": span_part(folder / "longer", requests * LONGER),
        "facts": fact_figures(folder / "facts", blocks),
    }


def span_part(folder: Path, requests: int) -> dict[str, Any]:
    """The figures of so many requests of spans, in a new folder."""
    folder.mkdir()
    sent = folder / "requests"
    write_requests(sent, requests)
    rounds = [span_round(folder / f"spans-{number}", sent) for number in range(ROUNDS)]
    return span_figures(rounds, requests * spans.PER_REQUEST)


def write_requests(folder: Path, count: int) -> None:
    """Write requests to files, so that sending them takes little."""
    folder.mkdir()
    for number, body in enumerate(spans.requests(count)):
        (folder / f"{number:06}").write_bytes(body)


def span_round(directory: Path, sent: Path) -> tuple[Cost, Cost]:
    """What an `up` with an empty store takes to store all requests, and to copy what it stored."""
    with started(directory) as up, multiprocessing.get_context("spawn").Pool(1) as pool:
        pool.apply(time.time)  # it has started
        stored = counted(up, lambda: send_all(up, pool, sent))
        for statement in _ALIKE:
            up.client.command(statement)
        copied = counted(up, lambda: up.client.command(_COPY))
        expect_rows(up.client, "otel_traces", len(list(sent.iterdir())) * spans.PER_REQUEST)
        expect_rows(up.client, "copy", len(list(sent.iterdir())) * spans.PER_REQUEST)
        return stored, copied


@contextmanager
def started(directory: Path) -> Iterator[Up]:
    """An `up` that has come to rest."""
    with (
        running(directory, SPOOL_BYTES, MEMORY_BYTES) as ready,
        closing(connect(data_dir=str(directory))) as client,
    ):
        settle(client)
        yield Up(ready["pid"], ready["otlp_url"], directory, client)


def counted(up: Up, work: Callable[[], object]) -> Cost:
    """Do some work and wait until the spool is empty and no merge runs."""
    before, began = spent(up.pid), time.monotonic()
    work()
    wait_empty(up.directory / "spool")
    seconds = time.monotonic() - began
    settle(up.client)
    return Cost(seconds, spent(up.pid).since(before))


def expect_rows(client: Client, table: str, rows: int) -> None:
    """Look whether a table holds so many rows.

    Raises:
        RuntimeError: it does not, so no figure about it is worth anything.
    """
    found = client.command(f"SELECT count() FROM {table}")
    if found != rows:
        message = f"{table} has {found} rows, not {rows}"
        raise RuntimeError(message)


def send_all(up: Up, pool: Pool, sent: Path) -> None:
    """Send every request, from a process of its own."""
    pool.apply(send, (up.otlp_url, sent, up.directory / "spool"))


def send(url: str, sent: Path, spool: Path) -> None:
    """Send all requests over some connections, no faster than they are stored."""
    paths = sorted(sent.iterdir())
    with ThreadPool(CONNECTIONS) as pool:
        parts = [(url, paths[first::CONNECTIONS], spool) for first in range(CONNECTIONS)]
        pool.starmap(_send, parts)


def _send(url: str, paths: list[Path], spool: Path) -> None:
    headers = {"Content-Type": "application/x-protobuf"}
    with closing(http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)) as connection:
        for path in paths:
            while waiting_bytes(spool) > AHEAD_BYTES:
                time.sleep(0.02)
            connection.request("POST", "/v1/traces", path.read_bytes(), headers)
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                message = f"a request was answered {answer.status}"
                raise RuntimeError(message)


def waiting_bytes(spool: Path) -> int:
    """What the spool holds. A segment may go while one looks."""
    with os.scandir(spool) as found:
        return sum(_size(entry) for entry in found if entry.name.endswith(".segment"))


def _size(entry: "os.DirEntry[str]") -> int:
    try:
        return entry.stat().st_size
    except FileNotFoundError:
        return 0


def span_figures(rounds: list[tuple[Cost, Cost]], rows: int) -> dict[str, Any]:
    """The medians that others read, and each round's spread."""
    stored = [rows / cost.cpu.total for cost, _ in rounds]
    copied = [rows / cost.cpu.total for _, cost in rounds]
    ratios = [one / other for one, other in zip(stored, copied, strict=True)]
    walls = [rows / cost.seconds for cost, _ in rounds]
    return {
        "spans": rows,
        "spans_per_s": round(statistics.median(walls)),
        "spans_per_core_s": round(statistics.median(stored)),
        "copy_per_core_s": round(statistics.median(copied)),
        "ratio_to_native_copy": round(statistics.median(ratios), 3),
        "spread": {
            "spans_per_s": report.spread(walls, 0),
            "spans_per_core_s": report.spread(stored, 0),
            "copy_per_core_s": report.spread(copied, 0),
            "ratio_to_native_copy": report.spread(ratios, 3),
        },
        "us_per_span_by_thread": {
            "stored": _by_thread([cost for cost, _ in rounds], rows),
            "copied": _by_thread([cost for _, cost in rounds], rows),
        },
    }


def _by_thread(costs: list[Cost], rows: int) -> dict[str, float]:
    names = {name for cost in costs for name in cost.cpu.by_thread}
    middle = {
        name: statistics.median(cost.cpu.by_thread.get(name, 0.0) for cost in costs) * 1e6 / rows
        for name in names
    }
    return {name: round(us, 2) for name, us in sorted(middle.items(), key=lambda one: -one[1])}


def fact_figures(directory: Path, blocks: list[Sent]) -> dict[str, dict[str, Any]]:
    """Rows of facts a second and per core-second, through the writer over HTTP.

    Returns:
        By table and size of block.
    """
    figures: dict[str, dict[str, Any]] = {}
    with started(directory) as up:
        for sent in blocks:
            figures.setdefault(sent.table, {})[sent.size] = _fact_figure(up, sent)
    return figures


def _fact_figure(up: Up, sent: Sent) -> dict[str, Any]:
    def write() -> None:
        for number, body in enumerate(sent.bodies):
            insert_arrow_block(up.client, sent.table, body, f"{sent.size}/{number}")

    cost = counted(up, write)
    rows = sent.rows * len(sent.bodies)
    return {
        "rows_per_block": sent.rows,
        "rows_per_s": round(rows / cost.seconds),
        "rows_per_core_s": round(rows / cost.cpu.total),
    }
