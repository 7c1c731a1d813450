"""`docs/cli.md` says what the program does."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from otel_llm.conventions import ALL_ROLLUPS
from otel_llm.query.breakdown import PARTS
from otel_llm.query.catalogue import questions
from otel_llm.query.service import Objective

if TYPE_CHECKING:
    from tests.cli.conftest import Run

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")


def test_every_option_exists(run: "Run") -> None:
    """Each command line of the page names a command and options that it has."""
    lines = set(re.findall(r"otel-llm ([a-z]+)((?: [^`\n]*)?)", PAGE))
    assert {command for command, _ in lines} == {
        "demo", "up", "agent", "run", "requests", "trace", "ask", "kernels", "schema", "replay",
        "doctor", "alerts", "drain", "relay", "dashboards", "energy", "devices", "size",
    }  # fmt: skip
    for command, rest in lines:
        known = run(command, "--help").stdout
        for option in re.findall(r"--[a-z-]+", rest.split(" -- ")[0]):
            assert f"{option} " in known or f"{option}/" in known, (command, option)


def test_the_waterfall_is_real() -> None:
    """The page's waterfall is what the program prints."""
    sample = (Path(__file__).parent / "snapshots" / "trace-80.txt").read_text(encoding="utf-8")
    assert sample in PAGE


def test_every_part_is_explained() -> None:
    """The parts of a duration stand in the page in the code's own words."""
    for name, meaning in PARTS.items():
        assert f"| {name.replace('_', ' ')} | {meaning} |" in PAGE


def test_every_question_is_listed() -> None:
    """The page has each question with the program's own line."""
    for name, question in questions(Objective()).items():
        assert f"| `{name}` | {question.help} |" in PAGE


def test_two_questions_read_the_rollups() -> None:
    """The page names them: they reach back further than the others, and count whole minutes."""
    assert "`traffic` and `usage` alone read the rollups" in PAGE
    texts = {
        file.stem: file.read_text(encoding="utf-8")
        for file in ROOT.glob("otel_llm/query/sql/*.sql")
    }
    reading = {name for name, text in texts.items() for table in ALL_ROLLUPS if table.name in text}
    assert reading == {"traffic", "usage"}
