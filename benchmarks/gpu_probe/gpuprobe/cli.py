"""The command line: which stages, for how long, and where the results go."""

from __future__ import annotations

import argparse
import importlib.util
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from gpuprobe import copies, machine, native, stages
from gpuprobe.copies import Copy
from gpuprobe.cuda import LIBRARY_VARIABLE as CUDA_VARIABLE
from gpuprobe.nvml import LIBRARY_VARIABLE as NVML_VARIABLE
from gpuprobe.results import ResultFile, Scrubber
from gpuprobe.rows import Budget, device_held, run_all
from gpuprobe.stages import STAGES, Setting, Stage, summarise

DEFAULT_BUDGET_S = 460
FIXTURE_NAME = "decode.json.gz"


def main(arguments: list[str]) -> int:
    """Run; the exit status is 0 when every stage had at least one row that answered, else 1."""
    options = _parser().parse_args(arguments)
    if options.build:
        return _build()
    if not options.out:
        print("probe.py: --out DIR is missing: the folder for results", file=sys.stderr)
        return 2
    return _stages(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="probe.py", description=__doc__)
    choices = [str(stage.number) for stage in STAGES]
    parser.add_argument("--stage", choices=[*choices, "all"], default="all")
    parser.add_argument("--out", type=Path, help="folder for results; made if absent")
    parser.add_argument(
        "--budget-s",
        type=float,
        default=DEFAULT_BUDGET_S,
        help=f"seconds for all stages together (default {DEFAULT_BUDGET_S})",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="drive every path with the fake GPU; measures nothing",
    )
    parser.add_argument(
        "--build", action="store_true", help="compile the C parts into build/, to carry along"
    )
    return parser


def _build() -> int:
    """Compile what a machine without a compiler would lack."""
    made = native.build("probe_shim", native.CARRIED)
    print(f"probe_shim: {made.path or 'not built'}: {made.how}")
    return 0 if made.path else 1


def _stages(options: argparse.Namespace) -> int:
    options.out.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="gpu-probe-"))
    try:
        setting, head = _prepare(options, work)
        scrubber = Scrubber({"work": work, "out": options.out.resolve(), "probe": native.HERE})
        asked = [s for s in STAGES if options.stage in {"all", str(s.number)}]
        budget = Budget(options.budget_s)
        with device_held(work):
            answered = [
                _one_stage(stage, asked[place:], budget, setting, head, scrubber, options.out, work)
                for place, stage in enumerate(asked)
            ]
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return 0 if all(answered) else 1


def _prepare(options: argparse.Namespace, work: Path) -> tuple[Setting, dict[str, Any]]:
    """Find out what is here, once for all stages."""
    shim = native.obtain("probe_shim", work)
    found = copies.find(work)
    idle: list[Copy] = []
    environment: dict[str, str] = {}
    if options.dry_run:
        idle, (found, environment) = found, _fake(work)
    about = machine.describe()
    torch = importlib.util.find_spec("torch") is not None
    setting = Setting(
        copies=found,
        idle_copies=idle,
        shim=shim.path,
        torch=torch,
        dry=options.dry_run,
        budget_s=options.budget_s,
        environment=environment,
        machine=_short(about),
        fixture=work / FIXTURE_NAME,
    )
    head = {
        "dry_run": options.dry_run,
        "budget_s": options.budget_s,
        "machine": about,
        "shim": shim.how,
        "torch": torch,
        "cupti_copies": [
            {"label": c.label, "file": c.path.name, "sha256": c.sha256} for c in (*found, *idle)
        ],
    }
    return setting, head


def _fake(work: Path) -> tuple[list[Copy], dict[str, str]]:
    """The fake GPU in the place of libcuda, CUPTI and NVML; without a compiler there is none."""
    fake = native.build("fake_gpu", work)
    if not fake.path:
        print(f"dry run without the fake GPU: {fake.how}", file=sys.stderr)
        return [], {}
    library = str(fake.path)
    return [Copy("fake", fake.path, "")], {CUDA_VARIABLE: library, NVML_VARIABLE: library}


def _short(about: dict[str, Any]) -> dict[str, Any]:
    """The part of the machine's description that a fixture carries."""
    gpus = about["gpus"]
    gpu = gpus[0] if isinstance(gpus, list) and gpus else {}
    packages = {n: v for n, v in about["packages"].items() if v != "absent"}
    return {"gpu": gpu.get("name"), "driver": gpu.get("driver_version"), "packages": packages}


def _one_stage(
    stage: Stage,
    still: list[Stage],
    budget: Budget,
    setting: Setting,
    head: dict[str, Any],
    scrubber: Scrubber,
    out: Path,
    work: Path,
) -> bool:
    """Run one stage with its share of what is left, so that a slow one cannot starve the next."""
    seconds = budget.left() * stage.share / sum(s.share for s in still)
    setting = setting._replace(budget_s=seconds)
    print(f"stage {stage.number}: {stage.title} ({seconds:.0f} s at most)", flush=True)
    shared = {"title": stage.title, "method": stage.method, "stage_budget_s": round(seconds, 1)}
    results = ResultFile(
        out / f"stage{stage.number}.json", stage.number, scrubber, {**shared, **head}
    )
    run_all(stage.rows(setting), results, Budget(seconds), work)
    results.summarise(summarise(results.content["rows"]))
    if stage.rows is stages.record and setting.fixture.exists():
        shutil.copyfile(setting.fixture, out / FIXTURE_NAME)
    results.finish()
    print(json.dumps(scrubber.value(results.content["summary"]))[:2500], flush=True)
    return any(row["outcome"] == "ok" for row in results.content["rows"])
