"""A row's process may crash, hang or be refused; the run goes on and says what happened."""

from __future__ import annotations

import importlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from gpuprobe import rows, scenarios
from gpuprobe.results import ResultFile, Scrubber
from gpuprobe.rows import Budget, Question

from tests.benchmarks.gpu_probe.conftest import AskRow
from tests.waiting import until


def test_a_crash_costs_one_row_and_keeps_its_report(ask: AskRow) -> None:
    """SIGSEGV inside CUPTI: the signal is named, and what was reported before is there."""
    row = ask("both", environment={"FAKE_GPU_CRASH": "1"})
    assert row["outcome"] == "crashed"
    assert "SIGSEGV" in row["detail"]
    assert row["calls"]["subscribe"]["code"] == "0 (ok)"
    assert "Segmentation fault" in row["log"]


def test_a_hang_ends_at_the_limit(ask: AskRow) -> None:
    """A call that never returns is ended at the limit, and the row says so."""
    row = ask("both", limit_s=0.6, environment={"FAKE_GPU_HANG": "1"})
    assert row["outcome"] == "timeout"
    assert row["seconds"] >= 0.6
    assert "no end within" in row["detail"]


def test_absent_cupti_is_said_in_plain_words(ask: AskRow) -> None:
    """No such library: the row fails with the loader's words, and nothing else happens."""
    row = ask("both", copy={"label": "none", "path": "/nonexistent/libcupti.so.13"})
    assert row["outcome"] == "failed"
    assert "CUPTI did not open" in row["detail"]
    assert "libcupti.so.13" in row["detail"]


def test_absent_cupti_without_the_shim(ask: AskRow) -> None:
    """The same through ctypes alone."""
    row = ask("both", shim=False, copy={"label": "none", "path": "/nonexistent/libcupti.so.13"})
    assert row["outcome"] == "failed"
    assert "CUPTI did not open" in row["detail"]


def test_absent_driver_is_said_in_plain_words(ask: AskRow) -> None:
    """CUPTI without a driver: the row names the library that is missing."""
    row = ask("both", environment={"OTEL_LLM_PROBE_LIBCUDA": "/nonexistent/libcuda.so.1"})
    assert row["outcome"] == "failed"
    assert "/nonexistent/libcuda.so.1" in row["detail"]


def test_no_cupti_at_all_says_what_to_carry(tmp_path: Path) -> None:
    """A machine without any libcupti gets advice, not a traceback."""
    question = Question("both", "both", {"shim": None, "dry": True})
    row = rows.run(question, 20, tmp_path)
    assert row["outcome"] == "failed"
    assert "carry the nvidia-cuda-cupti wheel" in row["detail"]


def test_rows_that_cannot_fit_are_skipped_not_started(tmp_path: Path) -> None:
    """With the budget spent, rows are listed as skipped and none is started."""
    results = ResultFile(tmp_path / "r.json", 1, Scrubber({}), {})
    rows.run_all(
        [Question("a", "both", {}), Question("b", "both", {})], results, Budget(3), tmp_path
    )
    assert [row["outcome"] for row in results.content["rows"]] == ["skipped", "skipped"]
    assert not list(tmp_path.glob("*.spec"))


def test_a_copy_that_hangs_is_left_alone_after_three_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One broken CUPTI cannot use up the time of the others."""

    def hang(question: Question, _limit_s: float, _work: Path) -> dict[str, Any]:
        outcome = "timeout" if question.spec["copy"]["label"] == "bad" else "ok"
        return {"name": question.name, "outcome": outcome, "seconds": 0.0}

    monkeypatch.setattr(rows, "run", hang)
    results = ResultFile(tmp_path / "r.json", 1, Scrubber({}), {})
    asked = [
        Question(f"{label}{n}", "both", {"copy": {"label": label}})
        for n in range(5)
        for label in ("bad", "good")
    ]
    rows.run_all(asked, results, Budget(1000), tmp_path)
    outcomes = {row["name"]: row["outcome"] for row in results.content["rows"]}
    assert [outcomes[f"bad{n}"] for n in range(5)] == ["timeout"] * 3 + ["skipped"] * 2
    assert all(outcomes[f"good{n}"] == "ok" for n in range(5))


def test_the_load_process_ends_with_its_row(ask: AskRow) -> None:
    """No process of a row is left behind."""
    row = ask("nvml_updates", load=True, seconds=0.2)
    assert row["outcome"] == "ok", row
    mine = f"/proc/{os.getpid()}"
    assert Path(mine).exists()
    left = [p for p in Path("/proc").glob("[0-9]*/cmdline") if b"nvml-updates" in _read(p)]
    assert left == []


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_device_is_held_only_inside_the_block(
    libraries: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process that keeps the device open runs inside the block and not after it."""
    monkeypatch.setenv("OTEL_LLM_PROBE_LIBNVML", str(libraries["fake_gpu"]))
    report = tmp_path / "hold.report"
    with rows.device_held(tmp_path):
        until(report.exists)
        assert json.loads(report.read_text()) == {"running": True}
    left = [p for p in Path("/proc").glob("[0-9]*/cmdline") if str(tmp_path).encode() in _read(p)]
    assert left == []


def test_every_name_has_its_scenario_and_every_scenario_its_name() -> None:
    """The list of names and the modules' own lists are the same."""
    for module, names in scenarios.MODULES.items():
        assert set(importlib.import_module(module).SCENARIOS) == set(names)
    with pytest.raises(KeyError, match="no such"):
        scenarios.scenario("no such")
