"""`otel-llm dashboards`."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.cli.conftest import Run


def test_build_then_check(run: "Run", tmp_path: Path) -> None:
    """What build writes, check accepts; a change is named, and the next step told."""
    assert run("dashboards", "check", "--dir", str(tmp_path)).exit_code == 1
    built = run("dashboards", "build", "--dir", str(tmp_path))
    assert built.exit_code == 0
    assert f"wrote {tmp_path / 'overview.json'}" in built.stdout
    assert run("dashboards", "check", "--dir", str(tmp_path)).exit_code == 0
    (tmp_path / "slo.json").write_text("{}", encoding="utf-8")
    stale = run("dashboards", "check", "--dir", str(tmp_path))
    assert stale.exit_code == 1
    assert "slo.json differs" in stale.stderr
    assert "otel-llm dashboards build" in stale.stderr


def test_the_committed_boards_are_the_default(run: "Run") -> None:
    """Without a directory the boards that came with the package are meant."""
    assert run("dashboards", "check").exit_code == 0
