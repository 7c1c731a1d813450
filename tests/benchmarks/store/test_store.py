"""The benchmark of the store, on a small one."""

import json
from pathlib import Path

import pytest

from benchmarks import report
from benchmarks.store import __main__ as bench
from benchmarks.store import measure


@pytest.mark.timeout(300)
def test_all_of_it_at_a_small_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every question is answered, the keys others read are there, and other keys are left alone."""
    monkeypatch.setattr(report, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(measure, "WARM", 2)
    monkeypatch.setattr(measure, "COLD", 1)
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "store.json").write_text('{"ingest": {"kept": 1}}', encoding="utf-8")
    monkeypatch.setattr("sys.argv", ["store", "--steps", "20000", "--dir", str(tmp_path)])
    bench.main()
    result = json.loads((tmp_path / "results" / "store.json").read_text(encoding="utf-8"))
    assert result["ingest"] == {"kept": 1}
    assert result["trace_by_id_p95_ms"] > 0
    assert result["query_p95_ms_max"] > 0
    assert result["bytes_per_span"] > 0
    assert {one["trace_rows"] > 0 for one in result["queries"]["orders"]} == {True}
    answers = result["queries"]["large"]["windows"]["an hour"]
    assert answers["trace by id"]["answer_rows"] == 10
    assert answers["trace by id"]["rows_read"] >= 10
    assert (tmp_path / "results" / "store.md").read_text(
        encoding="utf-8"
    ) in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["results"]
