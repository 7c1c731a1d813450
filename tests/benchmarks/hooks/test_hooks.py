"""The hook benchmark in small: it runs, and gives the figures that others read."""

import json
from pathlib import Path

import pytest

from benchmarks import report
from benchmarks.hooks import measure, page
from benchmarks.hooks.__main__ import collect


def test_figures_and_page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A short run gives every key of `hooks.json`, and the page shows the same figures."""
    monkeypatch.setattr(measure, "ROUNDS", 3)
    monkeypatch.setattr(measure, "QUIET", 10.0)
    monkeypatch.setattr(measure, "ROUND_NS", 50_000)
    monkeypatch.setattr(measure, "IMPORTS", 2)
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    result = collect()
    report.write("hooks", result, page.render(result))
    written = json.loads((tmp_path / "hooks.json").read_text(encoding="utf-8"))
    text = (tmp_path / "hooks.md").read_text(encoding="utf-8")
    assert set(written["step_us"]) == {"1", "16", "64", "256"}
    assert written["import_ms"] > written["import_msgspec_ms"] * 0.5 > 0
    assert written["bytes_per_step"]["256"] > written["bytes_per_step"]["1"] > 50
    for batch, goal in (("1", 5.1), ("256", 30.6)):
        assert f"| {batch} | {written['step_us'][batch]} | {goal} |" in text
    assert {"processor", "cores", "system"} <= set(written["machine"])
    assert {"python", "msgspec", "otel-llm"} <= set(written["versions"])
