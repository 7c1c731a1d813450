"""Measure, write `benchmarks/results/schema.json` and `schema.md`, and say what came out."""

import sys
import time
from collections.abc import Callable

from benchmarks import report
from benchmarks.schema import codecs, keys, page, shapes
from benchmarks.schema.store import Figures, Store, opened

PARTS: dict[str, Callable[[Store], Figures]] = {
    "tables": codecs.fill,
    "codecs": codecs.codecs,
    "keys": keys.keys,
    "indexes": keys.indexes,
    "ids": shapes.ids,
    "classes": shapes.classes,
    "sketches": shapes.sketches,
    "rollup": shapes.rollups,
    "windows_ms_per_block": shapes.windows,
}


def main() -> None:
    """Run the benchmark; takes about five minutes."""
    result: Figures = {
        "taken": time.strftime("%Y-%m-%d", time.gmtime()),
        "machine": report.machine(),
        "versions": report.versions("otel-llm", "chdb", "clickhouse-connect"),
    }
    with opened() as store:
        for name, part in PARTS.items():
            began = time.monotonic()
            result[name] = part(store)
            sys.stderr.write(f"{name}: {time.monotonic() - began:.0f} s\n")
    report.write("schema", result, page.render(result))
    print(page.render(result))


if __name__ == "__main__":
    main()
