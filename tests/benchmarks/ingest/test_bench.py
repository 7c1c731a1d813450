"""The benchmark of the way in runs, and writes a page that shows its figures."""

import json
import sys
from pathlib import Path

import pytest

from benchmarks import report
from benchmarks.ingest import __main__, disk


@pytest.mark.bench
def test_writes_its_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A short run has every figure; what was acknowledged in its flood is stored."""
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    monkeypatch.setattr(disk, "SECONDS", 0.2)
    monkeypatch.setattr(disk, "INSERTS", 2)
    monkeypatch.setattr(disk, "SPANS", 1000)
    monkeypatch.setattr(sys, "argv", ["ingest", "--flood-s", "1", "--dir", str(tmp_path)])
    __main__.main()
    result = json.loads((tmp_path / "ingest.json").read_text())
    assert result["group_commit"]["64"]["requests_per_wait"] > 1
    assert result["flood"]["stored"] == result["flood"]["acknowledged"] > 0
    page = (tmp_path / "ingest.md").read_text()
    assert f"{result['flood']['rss_peak_mb']} MB at most" in page
    assert capsys.readouterr().out.startswith("# What the way in costs")
