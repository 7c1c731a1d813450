"""Result files: their shape, and that they survive and can be shared."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from gpuprobe import results
from gpuprobe.results import ResultFile, Scrubber


def make(tmp_path: Path) -> ResultFile:
    """An empty result file of stage 1."""
    head = {"machine": {"cpu": "some"}}
    return ResultFile(tmp_path / "stage1.json", 1, Scrubber({"work": tmp_path}), head)


def test_file_is_whole_after_every_row(tmp_path: Path) -> None:
    """A run cut short leaves what it had: valid JSON, `finished` still null."""
    file = make(tmp_path)
    file.row({"name": "a", "outcome": "ok"})
    file.row({"name": "b", "outcome": "timeout", "detail": "no end within 3 s"})
    content = json.loads(file.path.read_text())
    assert content["format"] == results.FORMAT
    assert content["finished"] is None
    assert [row["name"] for row in content["rows"]] == ["a", "b"]
    assert content["errors"] == ["b: no end within 3 s"]


def test_finish_is_marked(tmp_path: Path) -> None:
    """Only a stage that ran to its end carries a finish time."""
    file = make(tmp_path)
    file.summarise({"a": "ok"})
    file.finish()
    content = json.loads(file.path.read_text())
    assert content["finished"]
    assert content["summary"] == {"a": "ok"}


def test_a_row_skipped_for_time_is_no_error(tmp_path: Path) -> None:
    """What there was no time for is written down, but is not a failure."""
    file = make(tmp_path)
    file.row({"name": "late", "outcome": "skipped", "detail": "needs 20 s, 3 s were left"})
    content = json.loads(file.path.read_text())
    assert content["errors"] == []
    assert content["rows"][0]["detail"] == "needs 20 s, 3 s were left"


def test_directories_of_the_machine_are_left_out(tmp_path: Path) -> None:
    """Paths in any text, key or list are replaced by short names."""
    file = make(tmp_path)
    file.row(
        {
            "name": "x",
            "outcome": "failed",
            "detail": f"cannot open {tmp_path}/lib.so",
            "l": [str(tmp_path)],
        }
    )
    text = file.path.read_text()
    assert str(tmp_path) not in text
    assert "<work>/lib.so" in text
    assert str(Path.home()) not in Scrubber({}).text(f"{Path.home()}/secret")


def test_a_failed_write_keeps_the_old_file(tmp_path: Path) -> None:
    """What cannot be written as JSON does not destroy what was there."""
    path = tmp_path / "a.json"
    results.write_json(path, {"kept": 1})
    with pytest.raises(TypeError):
        results.write_json(path, {"bad": object()})
    assert json.loads(path.read_text()) == {"kept": 1}
