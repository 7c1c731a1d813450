"""Measure, write `benchmarks/results/inserts.json` and `inserts.md`, and say what came out."""

import argparse
import statistics
import time
from typing import Any

from benchmarks import report
from benchmarks.inserts import page
from benchmarks.inserts.ladder import Cost
from benchmarks.inserts.measure import TABLES, rounds
from benchmarks.store.blocks import SIZES


def main() -> None:
    """Run the benchmark; takes about five minutes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.inserts", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--inserts", type=int, default=100, help="of each rung")
    arguments = parser.parse_args()
    result = figures(rounds(arguments.rounds, arguments.inserts), arguments.inserts)
    report.write("inserts", result, page.render(result))
    print(page.render(result))


def figures(found: list[dict[str, dict[str, Cost]]], inserts: int) -> dict[str, Any]:
    """In the shape of `inserts.json`: medians of the rounds, and their range."""
    return {
        "taken": time.strftime("%Y-%m-%d", time.gmtime()),
        "machine": report.machine(),
        "versions": report.versions("otel-llm", "chdb", "pyarrow"),
        "inserts": inserts,
        "rounds": len(found),
        "tables": {
            table.name: {
                "rows": SIZES[table]["small"],
                "rungs": {
                    rung: _middle([one[table.name][rung] for one in found])
                    for rung in found[0][table.name]
                },
            }
            for table in TABLES
        },
    }


def _middle(costs: list[Cost]) -> dict[str, Any]:
    inserts = [cost.insert for cost in costs]
    return {
        "insert_ms": round(statistics.median(inserts), 2),
        "insert_ms_range": [min(inserts), max(inserts)],
        "merge_ms": round(statistics.median(cost.merge for cost in costs), 2),
    }


if __name__ == "__main__":
    main()
