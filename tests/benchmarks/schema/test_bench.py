"""The schema's benchmark runs, on few rows, and writes what the page shows."""

import json
from functools import partial
from pathlib import Path

import pytest

from benchmarks import report
from benchmarks.schema import __main__, shapes
from benchmarks.schema.store import ROWS


@pytest.mark.bench
def test_writes_its_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every part has figures, of every table with rows, and the page has them too."""
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    for table in ROWS:
        monkeypatch.setitem(ROWS, table, 2000)
    monkeypatch.setattr(shapes, "SEEN", 1 << 14)
    few = partial(shapes.windows, blocks=2)
    monkeypatch.setitem(__main__.PARTS, "windows_ms_per_block", few)
    __main__.main()
    result = json.loads((tmp_path / "schema.json").read_text())
    assert set(result) == {"taken", "machine", "versions", *__main__.PARTS}
    assert set(result["tables"]) == set(result["codecs"]) == set(ROWS)
    assert result["sketches"]["quantilesDD 1 %"]["worst_error"] <= 0.011
    assert result["sketches"]["quantilesDD 1 %"]["merged_differs"] is False
    page = (tmp_path / "schema.md").read_text()
    assert str(result["tables"]["llm_requests"]["bytes_per_row"]) in page
    assert capsys.readouterr().out.startswith("# What the store's tables take")
