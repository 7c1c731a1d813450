"""The gateway's benchmark runs, and writes the keys that others read."""

import json
import math
from pathlib import Path

import pytest

from benchmarks import report
from benchmarks.gateway import __main__, measure


def test_writes_its_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A short run writes JSON with numbers under the agreed keys, and a page that shows them."""
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    monkeypatch.setattr(measure, "ROUNDS", 3)
    monkeypatch.setattr(measure, "CALLS", 2)
    __main__.main()
    result = json.loads((tmp_path / "gateway.json").read_text())
    assert math.isfinite(result["request_us"])
    assert math.isfinite(result["chunk_us"])
    assert result["versions"]["fastapi"]
    page = (tmp_path / "gateway.md").read_text()
    assert str(result["request_us"]) in page
    assert capsys.readouterr().out.startswith("# What the gateway middleware costs")
