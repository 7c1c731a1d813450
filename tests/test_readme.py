"""The README and the docs say what is true: their quotes, commands, links."""

import re
import subprocess
from pathlib import Path

import pytest

from otel_llm import readme
from otel_llm.cli.main import app

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def test_quotes_are_current() -> None:
    """`make generate` would change nothing."""
    assert readme.main(["--check", "--root", str(ROOT)]) == 0


def test_a_stale_quote_is_noticed_and_mended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A block that differs from its file fails the check until it is rewritten."""
    (tmp_path / "x.md").write_text("words\n\n| a |\n|---|\n| 1 |\n\nmore\n")
    (tmp_path / "docs").mkdir()
    (tmp_path / "README.md").write_text("# t\n<!-- table: x.md -->\nold\n<!-- end -->\nend\n")
    page = tmp_path / "docs" / "one.md"
    page.write_text("# t\n<!-- table: ../x.md -->\nold\n<!-- end -->\nend\n")
    root = ["--root", str(tmp_path)]
    assert readme.main(["--check", *root]) == 1
    told = capsys.readouterr().err
    assert ("make generate" in told, "README.md" in told, "one.md" in told) == (True, True, True)
    assert readme.main(root) == 0
    assert readme.main(["--check", *root]) == 0
    for each in (tmp_path / "README.md", page):
        assert "| 1 |\n<!-- end -->\nend\n" in each.read_text()


def test_a_file_without_a_table_is_an_error(tmp_path: Path) -> None:
    """The error names the file."""
    (tmp_path / "x.md").write_text("no table")
    with pytest.raises(ValueError, match=r"x\.md has no table"):
        readme.filled("<!-- table: x.md -->\n<!-- end -->", tmp_path)


def test_its_make_targets_exist() -> None:
    """Each `make` command can be planned by make itself."""
    targets = set(re.findall(r"^\$ make ([a-z-]+)", TEXT, re.MULTILINE))
    assert {"demo", "test"} <= targets
    for target in targets:
        subprocess.run(["make", "--dry-run", target], cwd=ROOT, check=True, capture_output=True)


def test_its_commands_exist() -> None:
    """Each `otel-llm` command it names is one."""
    known = {
        command.name or command.callback.__name__
        for command in app.registered_commands
        if command.callback
    }
    groups = {group.name for group in app.registered_groups}
    named = set(re.findall(r"`otel-llm ([a-z]+)", TEXT)) | {"requests", "doctor", "schema", "run"}
    assert named <= known | groups


def test_its_links_lead_somewhere() -> None:
    """Each relative link is a file of the repository."""
    links = re.findall(r"\]\(([^)#]+)\)", TEXT)
    assert links
    assert [link for link in links if "://" not in link and not (ROOT / link).exists()] == []
