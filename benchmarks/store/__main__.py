"""Measure the way in, make a large store and ask it everything: `benchmarks/results/store.*`.

Each part writes keys of its own, so that one of them can be taken again alone.
"""

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.store import blocks, cost, ingest, measure, orders, page, wire
from benchmarks.store.fill import Size, bytes_per_row, fill, open_store

WINDOWS = {"an hour": measure.HOUR_NS, "a day": 24 * measure.HOUR_NS}
_PACKAGES = ("otel-llm", "chdb", "chdb-core", "clickhouse-connect", "pyarrow")
KILL_KEYS = ("kills", "lost_after_kill", "doubled_after_kill")
_AGO_S = 25 * 3600
"""The day begins so long ago, so that no retention touches it."""


def main() -> None:
    """Run the benchmark; at full size it takes about twenty minutes and 20 GB of disk."""
    arguments = _arguments()
    result = {name: value for name, value in _earlier().items() if name not in KILL_KEYS}
    if arguments.only != "kills":
        result |= {
            "taken": time.strftime("%Y-%m-%d", time.gmtime()),
            "machine": report.machine(),
            "versions": report.versions(*_PACKAGES),
        }
    if arguments.only in (None, "questions"):
        result |= _questions(arguments)
    if arguments.only in (None, "ingest"):
        result |= _ingest(arguments)
    result |= _kills()
    if "queries" in result and "ingest" in result:
        sizes = result["queries"]["large"]["bytes_per_row"]
        result["per_million_calls"] = cost.per_million_calls(sizes, result["ingest"])
    report.write("store", result, page.render(result))
    print(page.render(result))


def _questions(arguments: argparse.Namespace) -> dict[str, Any]:
    queries: dict[str, Any] = {}
    for name, steps in (("small", arguments.steps // 10), ("large", arguments.steps)):
        if arguments.keep is None:
            with _folder(arguments) as folder:
                queries |= _store(name, Size(steps, _began_ns()), folder)
        else:
            folder = arguments.keep / f"{name}-{steps}"
            queries |= _store(name, _kept(folder, steps), folder)
    return _figures(queries)


def _began_ns() -> int:
    return (int(time.time()) - _AGO_S) * 1_000_000_000


def _kept(folder: Path, steps: int) -> Size:
    """How much is in a store that is kept, or will be: a day that began when it was made."""
    folder.mkdir(parents=True, exist_ok=True)
    note = folder / "base_ns"
    if not note.exists():
        note.write_text(str(_began_ns()), encoding="utf-8")
    return Size(steps, int(note.read_text(encoding="utf-8")))


def _ingest(arguments: argparse.Namespace) -> dict[str, Any]:
    with _folder(arguments) as folder:
        facts = blocks.made(folder / "facts-source", _began_ns())
        return {"ingest": ingest.ingest(folder, arguments.requests, facts)}


def _kills() -> dict[str, Any]:
    """What `make kill-loop` wrote last; nothing if it never ran."""
    file = report.RESULTS / "kills.json"
    if not file.exists():
        return {}
    found = json.loads(file.read_text(encoding="utf-8"))
    return {key: found[key] for key in KILL_KEYS}


@contextmanager
def _folder(arguments: argparse.Namespace) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="otel-llm-store-", dir=arguments.dir))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _store(name: str, size: Size, folder: Path) -> dict[str, Any]:
    client = open_store(folder)
    try:
        took = fill(client, size, print, folder / "fill_s.json")
        windows = {
            window: measure.times(client, size, folder, length)
            for window, length in WINDOWS.items()
            if length <= size.end_ns - size.base_ns + measure.HOUR_NS
        }
        found = {
            "steps": size.steps, "requests": size.requests, "spans": size.steps,
            "kernels": size.steps * 10, "windows": windows, "bytes_per_row": bytes_per_row(client),
            "fill_s": {table: round(seconds, 1) for table, seconds in took.items()},
        }  # fmt: skip
        if name == "large":
            return {name: found, "wire": wire.costs(client)}
        return {name: found, "orders": orders.orders(client, size)}
    finally:
        client.close()


def _figures(queries: dict[str, Any]) -> dict[str, Any]:
    hour = queries["large"]["windows"]["an hour"]
    asked = {name: one["warm_ms"]["p95"] for name, one in hour.items() if name != "trace by id"}
    return {
        "bytes_per_span": queries["large"]["bytes_per_row"]["otel_traces"],
        "trace_by_id_p95_ms": hour["trace by id"]["warm_ms"]["p95"],
        "query_p95_ms_max": max(asked.values()),
        "queries": queries,
    }


def _earlier() -> dict[str, Any]:
    file = report.RESULTS / "store.json"
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    return found


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=10_000_000, help="steps, and spans")
    parser.add_argument("--requests", type=int, default=1000, help="of 1000 spans each, sent in")
    parser.add_argument("--only", choices=("questions", "ingest", "kills"), help="one part")
    parser.add_argument(
        "--dir", help="where the store is made; the temporary directory if not given"
    )
    parser.add_argument(
        "--keep", type=Path, help="where large stores are kept, to be asked again without a fill"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
