"""Puts the probe's folder on the path, and drives its rows against the fake GPU."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

PROBE = Path(__file__).resolve().parents[3] / "benchmarks" / "gpu_probe"
sys.path.insert(0, str(PROBE))

from gpuprobe import native, rows  # noqa: E402  (the path must be set first)
from gpuprobe.cuda import LIBRARY_VARIABLE as CUDA_VARIABLE  # noqa: E402
from gpuprobe.nvml import LIBRARY_VARIABLE as NVML_VARIABLE  # noqa: E402

AskRow = Callable[..., dict[str, Any]]
Answers = dict[str, dict[str, Any]]
# Anything that JSON can carry.
Parameter: TypeAlias = Any


@pytest.fixture(scope="session")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The shim and the fake GPU, compiled once with warnings as errors."""
    into = tmp_path_factory.mktemp("native")
    built = {name: native.build(name, into, "-Werror") for name in ("probe_shim", "fake_gpu")}
    if any("no compiler" in made.how for made in built.values()):
        pytest.skip(built["probe_shim"].how)
    for made in built.values():
        assert made.path, made.how
    return {name: made.path for name, made in built.items() if made.path}


def probe(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the entry point as a user would."""
    command = [sys.executable, str(PROBE / "probe.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)


@pytest.fixture(scope="session")
def out(tmp_path_factory: pytest.TempPathFactory, libraries: dict[str, Path]) -> Path:
    """The folder that one dry run of all stages leaves."""
    assert libraries
    folder = tmp_path_factory.mktemp("results")
    done = probe("--stage", "all", "--dry-run", "--out", str(folder), "--budget-s", "100")
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="session")
def answers(out: Path) -> Answers:
    """Every row of that dry run, by its name."""
    stages = [json.loads((out / f"stage{n}.json").read_text()) for n in (1, 2, 3, 4)]
    return {row["name"].removesuffix(" [fake]"): row for stage in stages for row in stage["rows"]}


@pytest.fixture
def ask(libraries: dict[str, Path], tmp_path: Path) -> AskRow:
    """Run one row in a process of its own, with the fake GPU in the place of the driver."""

    def run(
        scenario: str, *, limit_s: float = 60, shim: bool = True, **more: Parameter
    ) -> dict[str, Any]:
        fake = str(libraries["fake_gpu"])
        environment = {CUDA_VARIABLE: fake, NVML_VARIABLE: fake, **more.pop("environment", {})}
        spec = {
            "shim": str(libraries["probe_shim"]) if shim else None,
            "copy": {"label": "fake", "path": fake},
            "dry": True,
            **more,
        }
        question = rows.Question(scenario, scenario, spec, environment=environment)
        return rows.run(question, limit_s, tmp_path)

    return run
