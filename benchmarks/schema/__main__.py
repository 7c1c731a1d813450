"""Measure, write `benchmarks/results/schema.json` and `schema.md`, and say what came out."""

import argparse
import json
import sys
import time
from collections.abc import Callable

from benchmarks import report
from benchmarks.schema import codecs, identities, keys, page, shapes
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
    "identity": identities.identities,
}


def main(only: str | None = None) -> None:
    """Run the benchmark, which takes about five minutes; or one part, and leave the others."""
    taken: Figures = {
        "taken": time.strftime("%Y-%m-%d", time.gmtime()),
        "machine": report.machine(),
        "versions": report.versions("otel-llm", "chdb", "clickhouse-connect"),
    }
    result = taken
    if only:
        result = json.loads((report.RESULTS / "schema.json").read_text("utf-8"))
        result.setdefault("apart", {})[only] = taken
    with opened() as store:
        for name, part in PARTS.items():
            began = time.monotonic()
            if only in (None, name):
                result[name] = part(store)
            elif name == "tables":
                part(store)  # the others ask of the rows that it fills in
            sys.stderr.write(f"{name}: {time.monotonic() - began:.0f} s\n")
    report.write("schema", result, page.render(result))
    print(page.render(result))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", choices=tuple(PARTS), help="one part; the others stay")
    main(parser.parse_args().only)
