"""Processes that launch kernels on the fake libcupti, with the shim in them."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from otel_llm.kernels import fake_cupti
from otel_llm.kernels.shim_library import library_path
from tests.kernels.running import Run

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the fake libcupti, an old one, and the driver."""
    folder = tmp_path_factory.mktemp("fake")
    fake_cupti.build(folder)
    fake_cupti.build(folder, old=True)
    fake_cupti.build_driver(folder)
    return folder


@pytest.fixture
def environment(built: Path, tmp_path: Path) -> dict[str, str]:
    """The environment of a process with the shim on, over the fake."""
    shim = library_path()
    assert shim is not None, "the shim was not built"
    return os.environ | {
        "OTEL_LLM_JOURNAL_DIR": str(tmp_path / "journals"),
        "OTEL_LLM_KERNELS": "on",
        "OTEL_LLM_KERNELS_RING_BYTES": str(8 << 20),
        "OTEL_LLM_KERNELS_BUDGET": "1",
        "OTEL_LLM_KERNELS_LIBCUPTI": str(built / "libcupti.so.13"),
        "FAKE_CUPTI_FIXTURE": str(fake_cupti.RECORDING),
        "CUDA_INJECTION64_PATH": str(shim),
    }


@pytest.fixture
def drive(built: Path, environment: dict[str, str], tmp_path: Path) -> Callable[..., Run]:
    """Run the driver: `drive(steps, launches, kernels, threads, step_us, NAME=value)`."""

    def run(*numbers: int, fake: str = "libcupti.so.13", **variables: str) -> Run:
        done = subprocess.run(
            [built / "drive", built / fake, *map(str, numbers)],
            env=environment | variables,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=100,
        )
        return Run.of(tmp_path / "journals", done.stdout)

    return run


@pytest.fixture
def script(environment: dict[str, str], built: Path, tmp_path: Path) -> Callable[..., str]:
    """Run Python with `shim` (loaded by ctypes), `launch(kernels=1)` and `folder`; its output."""
    start = (
        "import ctypes, os, signal, sys, time\n"
        "from pathlib import Path\n"
        "from otel_llm.kernels.shim_library import Shim\n"
        "from otel_llm.kernels.control import Control, scan\n"
        f"folder = Path({str(tmp_path / 'journals')!r})\n"
        f"fake = ctypes.CDLL({str(built / 'libcupti.so.13')!r})\n"
        "def launch(kernels=1, copies=0):\n"
        "    return fake.fake_launch(2, 311 if kernels > 1 else 211, kernels, copies)\n"
        "def wait_for(true):\n"
        "    until = time.monotonic() + 60\n"
        "    while not true():\n"
        "        assert time.monotonic() < until, shim.report()\n"
        "        time.sleep(0.01)\n"
        "shim = Shim()\n"
    )

    def run(text: str, **variables: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", start + text],
            env=environment | variables,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return run
