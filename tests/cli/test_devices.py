"""`otel-llm devices`, and what doctor says of them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from otel_llm.cli.checks import devices as check
from otel_llm.cli.main import app
from otel_llm.devices.fake_nvml import SCRIPT_VARIABLE
from otel_llm.settings import Settings
from tests.devices.conftest import library
from tests.devices.node import DRIVER, gpu
from tests.devices.test_replay import HEADER, LINES, recording

__all__ = ["library"]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A recording."""
    return recording(tmp_path, HEADER, *LINES)


def test_a_table(file: Path) -> None:
    """Every device with what it reads now, and where it comes from."""
    done = CliRunner().invoke(app, ["devices", "--devices", f"replay:{file}"])
    assert done.exit_code == 0
    [_, row] = done.stdout.splitlines()[:2]
    assert row.split() == ["GPU-r", "H100", "replay", "0.1", "W", "1.0", "J", "-", "-", "-"]


def test_json(file: Path) -> None:
    """The same for programs."""
    done = CliRunner().invoke(app, ["devices", "--json", "--devices", f"replay:{file}"])
    [source] = json.loads(done.stdout)["sources"]
    assert (source["source"], source["devices"][0]["id"]) == ("replay", "GPU-r")
    assert source["samples"][0]["power_mw"] == 100


def test_nothing_to_read() -> None:
    """Exit status 1."""
    assert CliRunner().invoke(app, ["devices", "--devices", "none"]).exit_code == 1


def test_a_wrong_name() -> None:
    """The error says which names there are."""
    done = CliRunner().invoke(app, ["devices", "--devices", "amd"])
    assert done.exit_code == 1
    assert "nvml, rapl, estimate" in done.stderr


def test_doctor(file: Path) -> None:
    """One line per source; a recording says that it is one."""
    [found] = check.check(Settings(devices=(f"replay:{file}",)))
    assert (found.what, found.status, found.detail) == ("replay", "ok", "1 found, a recording")
    [none] = check.check(Settings(devices=("none",)))
    assert (none.status, none.remedy) == ("off", "set devices=auto")


def test_doctor_and_a_wrong_name() -> None:
    """It is a problem of this part; the others are looked at all the same."""
    [found] = check.check(Settings(devices=("amd",)))
    assert (found.what, found.status) == ("sources", "problem")
    assert "'amd' is no source of devices" in found.detail


def test_doctor_with_a_driver(library: Path, tmp_path: Path) -> None:
    """It reads the GPUs once, as the agent would."""
    (tmp_path / "script").write_text("\n".join([*DRIVER, *gpu(0), *gpu(1)]))
    environment = {
        **os.environ,
        "LD_LIBRARY_PATH": str(library.parent),
        SCRIPT_VARIABLE: str(tmp_path / "script"),
        "OTEL_LLM_JOURNAL_DIR": str(tmp_path / "journals"),
        "OTEL_LLM_DATA_DIR": str(tmp_path / "data"),
    }
    program = "import sys; from otel_llm.cli.main import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", program, "doctor", "--json"],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    found = [one for one in json.loads(done.stdout)["findings"] if one["what"] == "nvml"]
    assert [(one["status"], one["detail"]) for one in found] == [("ok", "2 found")]
