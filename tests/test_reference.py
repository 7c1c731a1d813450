"""The generated reference pages."""

from pathlib import Path

import pytest

from otel_llm import reference
from otel_llm.conventions import ALL_METRICS, ALL_ROLLUPS, ALL_TABLES
from otel_llm.settings import Settings

DOCS = Path(__file__).parents[1] / "docs"


def test_committed_pages_are_current() -> None:
    """`make generate` would change nothing."""
    assert reference.main(["--check", "--docs", str(DOCS)]) == 0


def test_a_stale_page_fails_the_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A page that differs, or is missing, is named, and writing mends it."""
    assert reference.main(["--docs", str(tmp_path)]) == 0
    assert reference.main(["--check", "--docs", str(tmp_path)]) == 0
    (tmp_path / "metrics.md").write_text("old", encoding="utf-8")
    (tmp_path / "tables.md").unlink()
    assert reference.main(["--check", "--docs", str(tmp_path)]) == 1
    told = capsys.readouterr().err
    assert "metrics.md" in told
    assert "tables.md" in told
    assert "settings.md" not in told


def test_every_name_has_a_line() -> None:
    """No setting, metric or column is left out."""
    names = [setting.name for setting in reference.declared_settings()]
    assert names == list(Settings.__struct_fields__)
    metrics, tables = reference.metrics_page(), reference.tables_page()
    assert all(f"| `{metric.name}` |" in metrics for metric in ALL_METRICS)
    assert all(f"## {table.name}\n" in tables for table in (*ALL_TABLES, *ALL_ROLLUPS))
    columns = sum(len(table.columns) for table in (*ALL_TABLES, *ALL_ROLLUPS))
    assert tables.count("\n| `") == columns


def test_defaults_do_not_depend_on_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another user on another machine generates the same page."""
    page = reference.settings_page()
    monkeypatch.setenv("XDG_STATE_HOME", "/elsewhere")
    monkeypatch.setenv("HOME", "/nowhere")
    monkeypatch.setenv("OTEL_LLM_SERVICE", "other")
    assert reference.settings_page() == page
    assert str(Path.home()) not in page
