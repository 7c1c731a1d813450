"""Run stages, write `gpu.json` and `gpu.md`; exit with 1 if something is not as it should be."""

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.gpu import page, stages
from benchmarks.gpu.fakes import fake_smi, fakes
from otel_llm.clock import SYSTEM_CLOCK

STAGES: Mapping[str, Callable[[stages.Asked], dict[str, Any]]] = {
    "against": stages.against,
    "devices": lambda asked: stages.devices(
        asked, _nvml(), fake_smi if asked.work == "fake" else None
    ),
    "throughput": stages.throughput,
    "soak": stages.soak,
}


def main(arguments: list[str] | None = None) -> int:
    """Run what was asked for.

    Returns:
        0; 1 if a stage could not run or found what should not be; 2 if it may not be asked.
    """
    chosen = _parser().parse_args(arguments)
    if chosen.page:
        _write(chosen.out, {})
        return 0
    if chosen.fake and chosen.out == report.RESULTS:
        print("--fake measures nothing: name another folder with --out", file=sys.stderr)
        return 2
    found = _run(chosen)
    _write(chosen.out, found)
    told = [*found["failed"], *stages.failings(found, timed=not chosen.fake)]
    for line in told:
        print(f"not as it should be: {line}", file=sys.stderr)
    return 1 if told else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("stages", nargs="*", default=[], metavar="STAGE", help=", ".join(STAGES))
    parser.add_argument("--out", type=Path, default=report.RESULTS, help="folder for results")
    parser.add_argument("--size", choices=("large", "small", "tiny"), default="large")
    parser.add_argument("--budget-s", type=float, default=420.0, help="seconds for each stage")
    parser.add_argument("--fake", action="store_true", help="no GPU: the fakes, kept apart")
    parser.add_argument("--page", action="store_true", help="write what is owed, measure nothing")
    parser.add_argument("--libcupti", default="", help="which copy; else as the shim chooses")
    return parser


def _run(chosen: argparse.Namespace) -> dict[str, Any]:
    found: dict[str, Any] = {"taken": time.strftime("%Y-%m-%d", time.gmtime()), "failed": []}
    folder = Path(tempfile.mkdtemp(dir="/dev/shm"))
    try:
        with fakes(folder, wanted=chosen.fake) as environment:
            if chosen.libcupti:
                environment["OTEL_LLM_KERNELS_LIBCUPTI"] = chosen.libcupti
            work = "fake" if chosen.fake else "torch"
            asked = stages.Asked(work, chosen.size, environment, folder, chosen.budget_s)
            for name in chosen.stages or STAGES:
                found |= _stage(name, asked, found["failed"])
    finally:
        shutil.rmtree(folder)
    return found


def _stage(name: str, asked: stages.Asked, failed: list[str]) -> dict[str, Any]:
    """What a stage found; nothing, and why, if it cannot be run: the others go on."""
    try:
        return STAGES[name](asked)
    except (RuntimeError, OSError, KeyError, ValueError) as error:
        failed.append(f"{name}: {type(error).__name__}: {error}")
        return {}


def _nvml() -> Any:  # noqa: ANN401  `NvmlSource`, which needs pynvml
    from otel_llm.devices.nvml import NvmlSource

    return NvmlSource(SYSTEM_CLOCK)


def _write(folder: Path, found: dict[str, Any]) -> None:
    """Add to what the folder has: each stage is a command of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "gpu.json"
    before = json.loads(path.read_text("utf-8")) if path.exists() else {}
    whole = {**before, **found}
    if whole:
        path.write_text(json.dumps(whole, indent=2) + "\n", "utf-8")
    (folder / "gpu.md").write_text(page.render(whole), "utf-8")


if __name__ == "__main__":
    sys.exit(main())
