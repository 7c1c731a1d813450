"""Prove, write `benchmarks/results/energy.json` and `energy.md`, and say what came out."""

import argparse
import functools
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.energy import page, pipeline, prove, published, speed
from benchmarks.energy.pipeline import Answer, Readings
from benchmarks.energy.serve import Run
from benchmarks.energy.through_agent import ThroughAgent
from otel_llm.energy.models import Sharing
from otel_llm.energy.shape import DevicePeak

_DATA = Path("../shared/data")


def main() -> int:
    """Run the proof; takes some minutes.

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
    with tempfile.TemporaryDirectory() as folder:
        agent = ThroughAgent(Path(folder))
        proof = prove.collect(data / "requests", functools.partial(_told, agent))
        agent.close()
    points = published.points(data / "mlenergy_j_per_token.csv")
    return {
        "taken": time.strftime("%Y-%m-%d", time.gmtime()),
        "machine": report.machine(),
        "versions": report.versions("otel-llm", "numpy"),
        **proof,
        "attribution_ms_per_s": speed.spread(speed.attribution_ms()),
        **published.summary(points),
        "published": [
            {"batch": one.batch, "published_j": one.published,
             "predicted_j": round(one.predicted, 4), "error": round(one.error, 3)}
            for one in points
        ],
        "method": page.METHOD,
    }  # fmt: skip


def _told(
    agent: ThroughAgent, run: Run, readings: Readings, sharing: Sharing, peak: DevicePeak
) -> Answer:
    """By the agent; the model that it does not know, by the functions alone."""
    told = pipeline.answer if sharing == "shapley" else agent.answer
    return told(run, readings, sharing, peak)


if __name__ == "__main__":
    raise SystemExit(main())
