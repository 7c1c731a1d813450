"""What every benchmark writes: one JSON file of figures, and a page made from it."""

import json
import os
import platform
import statistics
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def machine() -> dict[str, str | int]:
    """The machine the figures were taken on: processor, usable cores, kernel."""
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        if line.startswith("model name")
    ]
    return {
        "processor": names[0] if names else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "system": f"{platform.system()} {platform.release()}",
    }


def versions(*distributions: str) -> dict[str, str]:
    """Versions of Python and of distributions."""
    return {"python": platform.python_version()} | {
        name: metadata.version(name) for name in distributions
    }


def spread(values: Sequence[float], digits: int = 2) -> dict[str, float]:
    """Median, quartiles and extremes of repeated measurements."""
    low, middle, high = statistics.quantiles(values, n=4)
    figures = {"min": min(values), "q1": low, "median": middle, "q3": high, "max": max(values)}
    return {name: round(value, digits) for name, value in figures.items()} | {
        "repeats": len(values)
    }


def write(name: str, result: dict[str, Any], page: str) -> None:
    """Write `results/NAME.json` and `results/NAME.md`."""
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps(result, indent=2, ensure_ascii=False)
    (RESULTS / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    (RESULTS / f"{name}.md").write_text(page, encoding="utf-8")
