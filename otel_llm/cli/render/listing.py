"""Lists as tables that fit the terminal: the least important columns go first."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from otel_llm.cli.render.text import Glyphs, clean, fit, joules, seconds
from otel_llm.query.recent import Listed
from otel_llm.query.times import iso

if TYPE_CHECKING:
    from rich.table import Table


class Column(NamedTuple):
    """A column of a list.

    Attributes:
        title: its heading.
        rank: 0 stays always; the highest goes first where there is no room.
        cell: the text for one line.
        right: aligned to the right.
    """

    title: str
    rank: int
    cell: Callable[[Listed, Glyphs], str]
    right: bool = True


def _outcome(one: Listed, _: Glyphs) -> str:
    return " ".join(part for part in (one.outcome, str(one.status_code or "")) if part)


def _number(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _id(one: Listed, _: Glyphs) -> str:
    """The beginning of an id that `otel-llm trace` takes: engines' own ids begin all alike."""
    return (one.id if one.kind == "call" else one.trace_id or one.id)[:12]


COLUMNS = (
    Column("arrival", 1, lambda one, _: iso(one.arrival_ns)[11:23], right=False),
    Column("id", 0, _id, right=False),
    Column("outcome", 0, _outcome, right=False),
    Column("error", 9, lambda one, _: one.error_class, right=False),
    Column("tenant", 5, lambda one, _: one.tenant, right=False),
    Column("model", 7, lambda one, _: one.model, right=False),
    Column("tries", 8, lambda one, _: _number(one.attempts)),
    Column("n", 10, lambda one, _: _number(one.requests)),
    Column("prompt", 6, lambda one, _: _number(one.tokens.prompt)),
    Column("output", 4, lambda one, _: _number(one.tokens.output)),
    Column("TTFT_caller", 2, lambda one, glyphs: seconds(one.ttft_caller_s, glyphs)),
    Column("TTFT_engine", 3, lambda one, glyphs: seconds(one.ttft_engine_s, glyphs)),
    Column("energy", 6, lambda one, _: joules(one.energy_j)),
    Column("queue", 5, lambda one, glyphs: seconds(one.queue_s, glyphs)),
    Column("duration", 0, lambda one, glyphs: seconds(one.duration_s, glyphs)),
)

_GAP = 2
_MOST_CELLS = 24


def calls_table(listed: Sequence[Listed], width: int, glyphs: Glyphs) -> "Table":
    """A table of calls for a terminal of `width` cells."""
    from rich.table import Table

    table = Table(box=None, padding=(0, _GAP, 0, 0), pad_edge=False, header_style="dim")
    columns = fitting(listed, width, glyphs)
    for column, _ in columns:
        justify: Literal["left", "right"] = "right" if column.right else "left"
        table.add_column(column.title, justify=justify, no_wrap=True, overflow="crop")
    for place, one in enumerate(listed):
        style = "" if one.outcome == "finished" else "red" if one.outcome == "failed" else "yellow"
        table.add_row(*(cells[place] for _, cells in columns), style=style)
    return table


def fitting(listed: Sequence[Listed], width: int, glyphs: Glyphs) -> list[tuple[Column, list[str]]]:
    """The columns for which there is room, with their cells."""
    columns = [
        (column, [_short(column.cell(one, glyphs), glyphs) for one in listed]) for column in COLUMNS
    ]
    while sum(map(_width, columns)) - _GAP > width:
        worst = max(column.rank for column, _ in columns)
        if worst == 0:
            break
        columns = [pair for pair in columns if pair[0].rank != worst]
    return columns


def _short(text: str, glyphs: Glyphs) -> str:
    return fit(clean(text, glyphs), _MOST_CELLS, glyphs).rstrip()


def _width(column: tuple[Column, list[str]]) -> int:
    from rich.cells import cell_len

    return _GAP + max(map(cell_len, (column[0].title, *column[1])))
