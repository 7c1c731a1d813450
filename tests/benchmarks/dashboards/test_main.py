"""The command: what it writes beside what was there."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from benchmarks import report
from benchmarks.dashboards import __main__ as command
from benchmarks.dashboards import large

PANEL = {"ms": {"p50": 20.0, "max": 31.5}, "rows_read": 1234567, "day": {"ms": 90, "rows_read": 9}}
LARGE: dict[str, Any] = {
    "taken": "2026-01-01", "machine": report.machine(), "rows": {"llm_steps": 10},
    "panels": {"slo: Good calls": PANEL}, "over": [],
}  # fmt: skip


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The committed results of a check, in a folder of their own, without a large store's."""
    shutil.copy(report.RESULTS / "dashboards.json", tmp_path)
    file = tmp_path / "dashboards.json"
    told = json.loads(file.read_text(encoding="utf-8"))
    told.pop("large", None)
    file.write_text(json.dumps(told), encoding="utf-8")
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    return file


@pytest.mark.parametrize(("over", "status"), [([], 0), (["slo: Good calls"], 1)])
def test_a_large_store_is_told_beside_the_check(
    results: Path, monkeypatch: pytest.MonkeyPatch, over: list[str], status: int
) -> None:
    """Its times come into the same file; a panel above the budget fails the command."""
    before = json.loads(results.read_text(encoding="utf-8"))
    monkeypatch.setattr(large, "measure", lambda _folder: LARGE | {"over": over})
    monkeypatch.setattr("sys.argv", ["dashboards", "--large", "anywhere"])
    assert command.main() == status
    after = json.loads(results.read_text(encoding="utf-8"))
    assert after == before | {"large": LARGE | {"over": over}}
    page = results.with_suffix(".md").read_text(encoding="utf-8")
    assert "| slo: Good calls | 20 | 31.5 | 1,234,567 | 90 | 9 |" in page


def test_a_check_keeps_the_times_of_a_large_store(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They take an hour to measure again, and the check says nothing of them."""
    told = json.loads(results.read_text(encoding="utf-8"))
    results.write_text(json.dumps(told | {"large": LARGE, "boards": 0}), encoding="utf-8")
    monkeypatch.setattr(command, "kept", lambda _directory: object())
    monkeypatch.setattr(command, "judged", lambda _directory, _recording: (told, []))
    monkeypatch.setattr("sys.argv", ["dashboards", "--dir", str(tmp_path)])
    assert command.main() == 0
    assert json.loads(results.read_text(encoding="utf-8")) == told | {"large": LARGE}
