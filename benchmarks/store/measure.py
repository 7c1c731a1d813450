"""Puts questions to a large store, cold and warm."""

import hashlib
import os
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from clickhouse_connect.driver.client import Client

from benchmarks.store.fill import Size
from otel_llm.clock import EpochNs
from otel_llm.query.catalogue import questions
from otel_llm.query.identify import identify
from otel_llm.query.journey import load
from otel_llm.query.recent import Filter, recent
from otel_llm.query.service import Objective
from otel_llm.query.spans import trace_spans
from otel_llm.query.window import Window

HOUR_NS = 3_600_000_000_000
WARM, COLD = 30, 5
LONG_WARM, LONG_COLD = 5, 2
"""Repeats of a question about more than an hour."""
OBJECTIVE = Objective(ttft_s=0.5, itl_s=0.1, e2e_s=30.0)

_CACHES = ("MARK", "INDEX MARK", "PRIMARY INDEX", "UNCOMPRESSED", "INDEX UNCOMPRESSED",
           "QUERY CONDITION")  # fmt: skip

Ask = Callable[[random.Random], object]


def everything(client: Client, size: Size, window_ns: int) -> dict[str, Ask]:
    """Every question, each with random ids or a random window of a length."""

    def trace(rng: random.Random) -> str:
        return trace_id(rng.randrange(size.requests))

    def window(rng: random.Random) -> tuple[EpochNs, EpochNs]:
        room = size.end_ns - size.base_ns - window_ns
        since = size.base_ns + (rng.randrange(room) if room > 0 else 0)
        return EpochNs(since), EpochNs(since + window_ns)

    def question(name: str, every_ns: int) -> Ask:
        known = questions(OBJECTIVE)[name]

        def ask(rng: random.Random) -> object:
            since, until = window(rng)
            every = every_ns if "every" in known.parts else 0
            return known.answer(client, Window(since_ns=since, until_ns=until, every_ns=every))

        return ask

    def slowest(rng: random.Random) -> object:
        # It has no end: the last hour is where the store ends.
        since = EpochNs(size.end_ns - window_ns + rng.randrange(1_000_000_000))
        return recent(client, Filter(since_ns=since, slow=True))

    def journey(rng: random.Random) -> object:
        [match] = identify(client, trace(rng))
        return load(client, match)

    asks: dict[str, Ask] = {
        "trace by id": lambda rng: trace_spans(client, trace(rng)),
        "why was it slow": journey,
        "slowest requests": slowest,
    }
    asks |= {name: question(name, 0) for name in questions(OBJECTIVE)}
    asks |= {
        f"{name} over time": question(name, window_ns // 60) for name in ("latency", "pressure")
    }
    return asks


def trace_id(number: int) -> str:
    """The trace of a request, as the statements that make the store name it."""
    return hashlib.md5(str(number).encode(), usedforsecurity=False).hexdigest()


def times(client: Client, size: Size, data: Path, window_ns: int) -> dict[str, dict[str, Any]]:
    """Milliseconds and rows read of every question.

    Returns:
        By question: `cold_ms` and `warm_ms` with p50 and p95, `rows_read` (median), `answer_rows`.
    """
    warm_times, cold_times = (WARM, COLD) if window_ns <= HOUR_NS else (LONG_WARM, LONG_COLD)
    asks = everything(client, size, window_ns)
    found: dict[str, dict[str, Any]] = {}
    for name, ask in asks.items():
        rng = random.Random(name)
        cold = [_timed(client, ask, rng, lambda: chill(client, data)) for _ in range(cold_times)]
        warm = [_timed(client, ask, rng, lambda: None) for _ in range(warm_times)]
        if not any(count for _, _, count in warm):
            message = f"{name} was never answered, so its times say nothing"
            raise RuntimeError(message)
        found[name] = {
            "cold_ms": _quantiles([ms for ms, _, _ in cold]),
            "warm_ms": _quantiles([ms for ms, _, _ in warm]),
            "rows_read": int(statistics.median(rows for _, rows, _ in warm)),
            "answer_rows": int(statistics.median(count for _, _, count in warm)),
        }
    return found


def _timed(
    client: Client, ask: Ask, rng: random.Random, before: Callable[[], None]
) -> tuple[float, int, int]:
    before()
    rows, began = rows_read(client), time.perf_counter()
    answer = ask(rng)
    ms = (time.perf_counter() - began) * 1000
    return ms, rows_read(client) - rows, len(answer) if isinstance(answer, list) else 1


def rows_read(client: Client) -> int:
    """Rows that all queries of this process have read from tables so far."""
    sql = "SELECT sum(value) FROM system.events WHERE event = 'SelectedRows'"
    return int(client.query(sql).result_rows[0][0])


def _quantiles(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    at = max(0, -(-len(ordered) * 95 // 100) - 1)
    return {"p50": round(statistics.median(ordered), 1), "p95": round(ordered[at], 1)}


def chill(client: Client, data: Path) -> None:
    """Empty ClickHouse's caches, and the kernel's of the store's files."""
    for cache in _CACHES:
        client.command(f"SYSTEM DROP {cache} CACHE")
    for folder, _, names in os.walk(data):
        for name in names:
            _forget(Path(folder, name))


def _forget(file: Path) -> None:
    try:
        handle = os.open(file, os.O_RDONLY)
    except FileNotFoundError:  # merged away meanwhile
        return
    try:
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(handle)
