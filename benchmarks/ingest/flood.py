"""More than `otel-llm up` can take: what it holds meanwhile, and what becomes of it."""

import contextlib
import http.client
import json
import multiprocessing
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from benchmarks.ingest.load import another, request
from otel_llm.exporters.clickhouse.client import connect

SPANS = 1000
SPOOL_BYTES = 128 << 20
STORE_MEMORY_BYTES = 1 << 30
PROCESSES, CONNECTIONS = 2, 24


class Flood(NamedTuple):
    """What came of a flood.

    Attributes:
        seconds: how long it lasted.
        offered: spans sent, refused ones too.
        acknowledged: spans acknowledged.
        stored: rows of them, once the spool is empty.
        answers: how often each status came.
        rss_before: resident bytes of `up` before.
        rss_peak: the most resident bytes it ever had.
        drained_s: from the last request until the spool was empty, in seconds.
    """

    seconds: float
    offered: int
    acknowledged: int
    stored: int
    answers: dict[int, int]
    rss_before: int
    rss_peak: int
    drained_s: float


@contextlib.contextmanager
def running(directory: Path, spool_bytes: int) -> Iterator[dict[str, Any]]:
    """`otel-llm up` in a process of its own: its ready line."""
    settings = {
        "DATA_DIR": directory,
        "CLICKHOUSE_PORT": 0,
        "OTLP_HTTP_PORT": 0,
        "OTLP_GRPC_PORT": 0,
        "OTLP_SPOOL_BYTES": spool_bytes,
        "STORE_MEMORY_BYTES": STORE_MEMORY_BYTES,
    }
    environment = os.environ | {f"OTEL_LLM_{name}": str(value) for name, value in settings.items()}
    command = [sys.executable, "-m", "otel_llm.cli.main", "up", "--json"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())
    finally:
        process.terminate()
        process.wait(60)
        process.stdout.close()


def flood(directory: Path, seconds: float, spool_bytes: int = SPOOL_BYTES) -> Flood:
    """Send without a pause for so many seconds, whatever the answers are, and wait for the rest."""
    with running(directory, spool_bytes) as up:
        before = memory(up["pid"], "VmRSS")
        context = multiprocessing.get_context("spawn")
        with context.Pool(PROCESSES) as pool:
            jobs = [(up["otlp_url"], seconds)] * PROCESSES
            answers = sum(pool.starmap(pour, jobs), Counter[int]())
        ended = time.monotonic()
        wait_empty(directory / "spool")
        drained = time.monotonic() - ended
        client = connect(data_dir=str(directory))
        stored = int(client.command("SELECT count() FROM otel_traces"))
        client.close()
        return Flood(
            seconds, answers.total() * SPANS, answers[200] * SPANS, stored, dict(answers),
            before, memory(up["pid"], "VmHWM"), round(drained, 1),
        )  # fmt: skip


def pour(url: str, seconds: float) -> Counter[int]:
    """One process' part, over many connections: how often each status came."""
    body, until = request(SPANS), time.monotonic() + seconds
    with ThreadPool(CONNECTIONS) as pool:
        return sum(pool.map(lambda _: _pour(url, body, until), range(CONNECTIONS)), Counter())


def _pour(url: str, body: bytes, until: float) -> Counter[int]:
    answers: Counter[int] = Counter()
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    while time.monotonic() < until:
        headers = {"Content-Type": "application/x-protobuf"}
        try:
            connection.request("POST", "/v1/traces", another(body), headers)
            answer = connection.getresponse()
            answer.read()
            answers[answer.status] += 1
        except (OSError, http.client.HTTPException):
            # It answered before the body was read, and closed.
            connection.close()
            answers[429] += 1
    connection.close()
    return answers


def memory(pid: int, name: str) -> int:
    """A line of a process' status, in bytes."""
    text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    [line] = [line for line in text.splitlines() if line.startswith(f"{name}:")]
    return int(line.split()[1]) << 10


def wait_empty(spool: Path, limit_s: float = 300) -> None:
    """Wait until everything that was acknowledged is stored."""
    until = time.monotonic() + limit_s
    while any(spool.glob("*.segment")):
        assert time.monotonic() < until, "the spool is not emptied"
        time.sleep(0.1)
