"""A store with sample journeys, rows made from a few fields, and snapshots."""

import os
import runpy
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec
import pytest

Row = TypeVar("Row", bound=msgspec.Struct)

store = runpy.run_path(str(Path(__file__).with_name("sample.py")))["store"]


class Make(Protocol):
    """Makes a row; fields not named are empty."""

    def __call__(self, row: type[Row], **fields: Any) -> Row:  # noqa: ANN401
        """Make one."""


@pytest.fixture
def make() -> Make:
    """Make a row from the fields that matter."""

    def build(row: type[Row], **fields: Any) -> Row:  # noqa: ANN401
        empty = {str: "", int: 0, bool: False, list[int]: []}
        blank = {field.name: empty.get(field.type) for field in msgspec.structs.fields(row)}
        blank |= {field.name: 0 for field in msgspec.structs.fields(row) if _is_number(field.type)}
        return row(**{**blank, **fields})

    return build


def _is_number(kind: object) -> bool:
    return getattr(kind, "__supertype__", None) is int


class Snapshot(Protocol):
    """Compares a text with the file of that name."""

    def __call__(self, name: str, text: str) -> None:
        """Fail unless they are equal."""


@pytest.fixture
def snapshot(request: pytest.FixtureRequest) -> Snapshot:
    """Compare with `snapshots/NAME` beside the test; REGENERATE_SNAPSHOTS=1 writes it anew."""

    def compare(name: str, text: str) -> None:
        file = Path(str(request.path)).parent / "snapshots" / name
        if os.environ.get("REGENERATE_SNAPSHOTS"):
            file.write_text(text, encoding="utf-8")
        assert file.is_file(), f"no {file}: run once with REGENERATE_SNAPSHOTS=1"
        assert text == file.read_text(encoding="utf-8"), (
            f"{file.name} differs; if that is meant, run with REGENERATE_SNAPSHOTS=1"
        )

    return compare
