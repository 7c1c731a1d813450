"""The disk: one wait per request, one for many, and the store's own."""

import os
import threading
import time
from concurrent.futures import wait
from pathlib import Path

from benchmarks.ingest.load import request
from otel_llm.collector.decoder import COLUMNS, Checked, check, decode
from otel_llm.collector.spool import Bounds, Spool, entry_of
from otel_llm.collector.spool.segment import Segment
from otel_llm.exporters.clickhouse import schema
from otel_llm.exporters.clickhouse.engine import Engine

SECONDS = 2.0
SENDERS = (1, 8, 64)
BODY_BYTES = 64 << 10
INSERTS = 15
SPANS = 20_000


def append_ms(directory: Path, size: int, repeats: int = 100) -> list[float]:
    """What `Segment.append` of one request of `size` bytes takes, in milliseconds."""
    segment, taken = Segment(directory / f"append-{size}"), []
    for _ in range(repeats):
        entry = entry_of("traces", os.urandom(size), Checked(1, 0, 1))
        began = time.perf_counter()
        segment.append([entry])
        taken.append((time.perf_counter() - began) * 1000)
    segment.close()
    segment.path.unlink()
    return taken


def spooled(directory: Path, senders: int) -> dict[str, float]:
    """So many senders that each wait for their acknowledgement: requests a second, and waits."""
    spool = Spool(directory / f"spool-{senders}", Bounds(1 << 34, 1 << 34, 1000.0))
    until, counts = time.monotonic() + SECONDS, [0] * senders

    def send(number: int) -> None:
        while time.monotonic() < until:
            entry = entry_of("traces", os.urandom(BODY_BYTES), Checked(1, 0, 1))
            wait([spool.offer(entry)])
            counts[number] += 1

    threads = [threading.Thread(target=send, args=(number,)) for number in range(senders)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spool.close()
    for path in spool.directory.glob("*.segment"):
        path.unlink()
    requests = sum(counts)
    return {
        "requests_per_s": round(requests / SECONDS),
        "requests_per_wait": round(requests / spool.commits, 1),
    }


def insert_ms(directory: Path) -> dict[str, list[float]]:
    """What inserting one block takes, in milliseconds, with and without waiting for the disk."""
    engine = Engine(directory / "engine", 1 << 30)
    try:
        client = engine.client()
        schema.apply(client)
        client.close()
        body = request(1000)
        [block] = decode("traces", [body] * (SPANS // check("traces", body).items))
        columns = ", ".join(f"`{name}`" for name in COLUMNS["otel_traces"])
        taken: dict[str, list[float]] = {"waits": [], "does not wait": []}
        with engine.session() as handle:
            for table, setting in (("waits", 1), ("does not wait", 0)):
                handle.run(f"""CREATE TABLE `{table}` AS otel_traces ENGINE = MergeTree
                    PARTITION BY toDate(Timestamp) ORDER BY (ServiceName, SpanName)
                    SETTINGS fsync_after_insert = {setting}, fsync_part_directory = {setting}""")
            for _ in range(INSERTS):
                for table, times in taken.items():
                    began = time.perf_counter()
                    handle.insert(f"INSERT INTO `{table}` ({columns})", "Native", block.body)
                    times.append((time.perf_counter() - began) * 1000)
        return taken
    finally:
        engine.close()
