"""Measure, write `benchmarks/results/ingest.json` and `ingest.md`, and say what came out."""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.ingest import disk, flood, page

_PACKAGES = ("otel-llm", "chdb", "uvicorn", "starlette", "grpcio")
_SIZES = {"4 KiB": 4 << 10, "64 KiB": 64 << 10, "1 MiB": 1 << 20}


def main() -> None:
    """Run the benchmark; takes about two minutes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--flood-s", type=float, default=60.0, help="how long the flood lasts")
    parser.add_argument("--dir", type=Path, help="where the files go; the disk that is measured")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.dir) as folder:
        result = collect(Path(folder), args.flood_s)
    report.write("ingest", result, page.render(result))
    print(page.render(result))


def collect(folder: Path, flood_s: float) -> dict[str, Any]:
    """All figures, in the shape of `ingest.json`."""
    return {
        "taken": time.strftime("%Y-%m-%d", time.gmtime()),
        "machine": report.machine(),
        "versions": report.versions(*_PACKAGES),
        "append_ms": {
            name: report.spread(disk.append_ms(folder, size)) for name, size in _SIZES.items()
        },
        "group_commit": {str(count): disk.spooled(folder, count) for count in disk.SENDERS},
        "insert_ms": {name: report.spread(times) for name, times in disk.insert_ms(folder).items()},
        "flood": flooded(flood.flood(folder / "flood", flood_s)),
        "method": page.METHOD,
    }


def flooded(came: flood.Flood) -> dict[str, Any]:
    """A flood's figures."""
    assert came.stored == came.acknowledged, "acknowledged spans are not stored"
    stored_per_s = came.stored / (came.seconds + came.drained_s)
    return {
        "seconds": came.seconds,
        "offered_spans_per_s": round(came.offered / came.seconds),
        "stored_spans_per_s": round(stored_per_s),
        "offered_to_stored": round(came.offered / came.seconds / stored_per_s, 1),
        "acknowledged": came.acknowledged,
        "stored": came.stored,
        "answers": came.answers,
        "rss_before_mb": came.rss_before >> 20,
        "rss_peak_mb": came.rss_peak >> 20,
        "drained_s": came.drained_s,
    }


if __name__ == "__main__":
    main()
