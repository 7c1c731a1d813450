"""What the doctor says of the CUPTI shim."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from otel_llm.cli.checks import kernels
from otel_llm.kernels import shim_library
from otel_llm.recorder import Recorder
from otel_llm.settings import Settings
from tests.kernels.conftest import ROOT, built, environment

__all__ = ["built", "environment"]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A directory of journals of this test's own."""
    return Settings(journal_dir=str(tmp_path / "journals"), journal_bytes=1 << 20)


def told(settings: Settings) -> dict[str, tuple[str, str]]:
    """Findings by what they are of."""
    return {one.what: (one.status, one.detail) for one in kernels.check(settings)}


def test_a_process_with_a_shim(environment: dict[str, str], settings: Settings) -> None:
    """Its state, what it recorded, lost and thinned, and its cost; nothing once it is gone."""
    process = subprocess.Popen(
        [sys.executable, "-c", "from otel_llm.kernels.shim_library import Shim\nShim()\n"
         "print('up', flush=True)\ninput()"],
        env=environment, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    [(name, (status, detail))] = [
        (what, found) for what, found in told(settings).items() if what.startswith("kernels-")
    ]
    assert (len(name), status) == (16, "ok")
    assert detail.startswith("on, CUPTI 130500; 0 records, 0 lost, 0 thinned; takes ")
    process.communicate("\n")
    assert not [what for what in told(settings) if what.startswith("kernels-")]


def test_workers_without_a_shim(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are counted by the engines that run, with the reason, and how their steps are timed."""
    assert "workers" not in told(settings)
    recorder = Recorder.open(
        engine="vllm", engine_version="1", devices=["GPU-1", "GPU-2"], ranks=4, settings=settings
    )
    status, detail = told(settings)["workers"]
    assert status == "off"
    assert detail == (
        "2 on GPUs have no shim: their engine did not load it; their steps are timed by CUDA events"
    )
    silent = msgspec.structs.replace(settings, kernels="off", step_events=False)
    assert told(silent)["workers"][1] == (
        "2 on GPUs have no shim: `kernels` is off; their steps are timed not at all"
    )
    monkeypatch.setattr(kernels, "library_path", lambda: None)
    assert "it was not built" in told(settings)["workers"][1]
    recorder.close()
    assert "workers" not in told(settings)


def test_the_shim_of_this_installation(settings: Settings) -> None:
    """Where it is, and what it does at its start."""
    path = shim_library.library_path()
    assert told(settings)["shim"] == ("ok", f"{path}; at start: dormant")
