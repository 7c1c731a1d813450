"""The lists of claims in `tests/*/README.md` name tests that there are."""

import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent
LISTS = [HERE / name / "README.md" for name in ("devices", "kernels")]
CELL = re.compile(r"`([^`]+)`")


def missing(page: Path, row: str) -> list[str]:
    """What a row of a list names and is not there; a bare `test_x` is of the file before it."""
    absent, within = [], ""
    for told in CELL.findall(row):
        path, _, test = told.partition("::")
        if told.startswith("make "):
            continue
        if not path.startswith("test_") or path.endswith(".py"):
            if not (page.parent / path).exists():
                absent.append(told)
                continue
            file = page.parent / path
            within = file.read_text("utf-8") if file.is_file() else ""
        else:
            test = path
        if test and f"def {test}(" not in within:
            absent.append(told)
    return absent


@pytest.mark.parametrize("page", LISTS, ids=lambda page: page.parent.name)
def test_every_test_that_is_named_exists(page: Path) -> None:
    """File by file, name by name."""
    rows = [line.split(" | ", 1)[1] for line in page.read_text().splitlines() if " | " in line]
    assert len(rows) > 10
    assert [each for row in rows[1:] for each in missing(page, row)] == []


def test_a_name_that_is_not_there_is_noticed() -> None:
    """A test that was renamed, and a file that was moved."""
    page = LISTS[0]
    assert missing(page, "`test_replay.py::test_no_such`, `test_gone.py`") == [
        "test_replay.py::test_no_such", "test_gone.py",
    ]  # fmt: skip
