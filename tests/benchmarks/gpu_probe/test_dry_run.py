"""The command line: every stage's dry run, and the files it leaves."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from gpuprobe import fixture
from gpuprobe.scenarios import NAMES

from tests.benchmarks.gpu_probe.conftest import PROBE, probe

KEYS = {
    "format", "stage", "started", "finished", "title", "method", "stage_budget_s", "dry_run",
    "budget_s", "machine", "shim", "torch", "cupti_copies", "rows", "summary", "errors",
}  # fmt: skip


def load(out: Path, stage: int) -> dict[str, Any]:
    """One stage's results."""
    content: dict[str, Any] = json.loads((out / f"stage{stage}.json").read_text())
    return content


@pytest.mark.parametrize("stage", [1, 2, 3, 4])
def test_every_stage_ends_with_rows_that_answer(out: Path, stage: int) -> None:
    """All rows ran, each file is finished, marked as a dry run, and has no error."""
    content = load(out, stage)
    assert set(content) == KEYS
    assert content["dry_run"] is True
    assert content["finished"]
    assert content["errors"] == []
    assert {row["outcome"] for row in content["rows"]} == {"ok"}
    assert set(content["summary"]) == {row["name"] for row in content["rows"]}


def test_every_scenario_but_those_of_a_framework_is_run(out: Path) -> None:
    """The dry run leaves no path out that needs no GPU."""
    ran = {row["scenario"] for stage in (1, 2, 3, 4) for row in load(out, stage)["rows"]}
    assert NAMES - ran == {"load", "hold", "profiler_after"}


def test_results_fit_what_comes_back(out: Path) -> None:
    """At most 8 files, each far below 16 MiB, named in plain characters."""
    files = sorted(out.iterdir())
    assert [f.name for f in files] == [
        "decode.json.gz", "stage1.json", "stage2.json", "stage3.json", "stage4.json",
    ]  # fmt: skip
    assert all(file.stat().st_size < 1 << 20 for file in files)


def test_fixture_of_a_dry_run_says_so(out: Path) -> None:
    """A fixture that measured nothing cannot pass for a recording."""
    assert fixture.read(out / "decode.json.gz")["dry_run"] is True


def test_results_name_no_directory_of_the_machine(out: Path) -> None:
    """Result files can be shared as they are."""
    for file in out.glob("*.json"):
        text = file.read_text()
        assert str(out) not in text
        assert str(PROBE) not in text
        assert sys.prefix not in text


def test_without_a_gpu_the_probe_fails_in_plain_words(tmp_path: Path) -> None:
    """On a machine with no GPU: exit status 1, and each row says what is missing."""
    done = probe("--stage", "3", "--out", str(tmp_path), "--budget-s", "40")
    content = load(tmp_path, 3)
    if content["rows"][0]["outcome"] == "ok":
        pytest.skip("this machine has an NVIDIA GPU")
    assert done.returncode == 1
    assert all("libnvidia-ml.so.1" in error for error in content["errors"])
    assert "Traceback" not in done.stdout + done.stderr


def test_folder_for_results_is_asked_for() -> None:
    """No folder: one line that says which option is missing."""
    done = probe("--stage", "1")
    assert done.returncode == 2
    assert "--out DIR is missing" in done.stderr
