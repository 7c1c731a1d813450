"""Answers of any kind as tables: a field's name says how its values are written."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec

from otel_llm.cli.render.text import Glyphs, clean, fit, seconds
from otel_llm.clock import EpochNs
from otel_llm.query.times import iso

if TYPE_CHECKING:
    from rich.table import Table

_GAP = 2
_MOST_CELLS = 32
_WORDS = 12


class _Column(NamedTuple):
    title: str
    cells: list[str]
    right: bool


def answer_table(
    rows: Sequence[msgspec.Struct], hidden: Sequence[str], width: int, glyphs: Glyphs
) -> "Table":
    """A table of an answer for a terminal of `width` cells.

    Args:
        rows: one or more, all of one kind.
        hidden: fields that are not shown.
        width: what does not fit is left out, from the last column on.
        glyphs: characters to write with.
    """
    from rich.table import Table

    table = Table(box=None, padding=(0, _GAP, 0, 0), pad_edge=False, header_style="dim")
    columns = _fitting([_column(rows, name, glyphs) for name in _shown(rows, hidden)], width)
    for column in columns:
        justify: Literal["left", "right"] = "right" if column.right else "left"
        table.add_column(column.title, justify=justify, no_wrap=True, overflow="crop")
    for place in range(len(rows)):
        table.add_row(*(column.cells[place] for column in columns))
    return table


def _shown(rows: Sequence[msgspec.Struct], hidden: Sequence[str]) -> list[str]:
    return [name for name in rows[0].__struct_fields__ if name not in hidden]


def _column(rows: Sequence[msgspec.Struct], name: str, glyphs: Glyphs) -> _Column:
    values = [getattr(row, name) for row in rows]
    title = name.removesuffix("_s").removesuffix("_ns") if not name.endswith("_per_s") else name
    cells = [_cell(name, value, glyphs) for value in values]
    return _Column(title, cells, isinstance(values[0], int | float | None))


def _cell(name: str, value: Any, glyphs: Glyphs) -> str:  # noqa: ANN401  of any field
    if value is None:
        return "-"
    if name == "instance_id":
        return clean(value, glyphs)[:_WORDS]  # as much as tells instances apart
    if isinstance(value, dict):
        value = [f"{key} {number}" for key, number in sorted(value.items(), key=_most)]
    if isinstance(value, list):
        value = " ".join(value)
    if isinstance(value, str):
        return fit(clean(value, glyphs), _MOST_CELLS, glyphs).rstrip()
    return _number(name, value, glyphs)


def _number(name: str, value: float, glyphs: Glyphs) -> str:
    if name.endswith("_ns"):
        return iso(EpochNs(int(value)))
    if name.endswith("_ratio"):
        return f"{value:.1%}"
    if name.endswith("_s") and not name.endswith("_per_s"):
        return seconds(value, glyphs)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.1f}"


def _most(pair: tuple[str, int]) -> tuple[int, str]:
    return -pair[1], pair[0]


def _fitting(columns: list[_Column], width: int) -> list[_Column]:
    """The first columns, as many as there is room for, but at least one."""
    from rich.cells import cell_len

    room = width + _GAP
    for place, column in enumerate(columns):
        room -= _GAP + max(map(cell_len, (column.title, *column.cells)))
        if room < 0:
            return columns[: max(1, place)]
    return columns
