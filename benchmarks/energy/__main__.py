"""Prove, write `benchmarks/results/energy.json` and `energy.md`, and say what came out."""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.energy import page, prove, published, speed

_DATA = Path("../shared/data")


def main() -> int:
    """Run the proof; takes about a minute.

    Returns:
        0; 1 if a goal was missed.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.energy", description=__doc__)
    parser.add_argument("--data", type=Path, default=_DATA, help="the traces and the table")
    result = collect(parser.parse_args().data)
    report.write("energy", result, page.render(result))
    print(page.render(result))
    missed = prove.missed(result)
    for goal in missed:
        sys.stderr.write(f"missed: {goal}\n")
    return 1 if missed else 0


def collect(data: Path) -> dict[str, Any]:
    """All figures, in the shape of `energy.json`."""
    points = published.points(data / "mlenergy_j_per_token.csv")
    return {
        "taken": time.strftime("%Y-%m-%d", time.gmtime()),
        "machine": report.machine(),
        "versions": report.versions("otel-llm", "numpy"),
        **prove.collect(data / "requests"),
        "attribution_ms_per_s": speed.spread(speed.attribution_ms()),
        "published": [
            {"batch": one.batch, "published_j": one.published,
             "predicted_j": round(one.predicted, 4), "error": round(one.error, 3)}
            for one in points
        ],
        "method": page.METHOD,
    }  # fmt: skip


if __name__ == "__main__":
    raise SystemExit(main())
