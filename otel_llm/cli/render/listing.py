"""Lists as tables that fit the terminal: the least important columns go first."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from otel_llm.cli.render.text import Glyphs, clean, seconds
from otel_llm.query.recent import Listed
from otel_llm.query.times import iso

if TYPE_CHECKING:
    from rich.table import Table


class Column(NamedTuple):
    """A column of a list.

    Attributes:
        title: its heading.
        width: terminal cells it needs.
        rank: 0 stays always; the highest goes first where there is no room.
        cell: the text for one line.
        right: aligned to the right.
    """

    title: str
    width: int
    rank: int
    cell: Callable[[Listed, Glyphs], str]
    right: bool = True


def _outcome(one: Listed, _: Glyphs) -> str:
    return " ".join(part for part in (one.outcome, str(one.status_code or "")) if part)


def _number(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


COLUMNS = (
    Column("arrival", 12, 1, lambda one, _: iso(one.arrival_ns)[11:23], right=False),
    Column("id", 12, 0, lambda one, _: one.id[:12], right=False),
    Column("outcome", 13, 0, _outcome, right=False),
    Column("error", 17, 8, lambda one, _: one.error_class, right=False),
    Column("tenant", 10, 4, lambda one, _: one.tenant, right=False),
    Column("model", 12, 6, lambda one, _: one.model, right=False),
    Column("tries", 5, 7, lambda one, _: _number(one.attempts)),
    Column("n", 3, 9, lambda one, _: _number(one.requests)),
    Column("prompt", 7, 5, lambda one, _: _number(one.tokens.prompt)),
    Column("output", 6, 3, lambda one, _: _number(one.tokens.output)),
    Column("TTFT_caller", 11, 2, lambda one, glyphs: seconds(one.ttft_caller_s, glyphs)),
    Column("TTFT_engine", 11, 3, lambda one, glyphs: seconds(one.ttft_engine_s, glyphs)),
    Column("queue", 8, 5, lambda one, glyphs: seconds(one.queue_s, glyphs)),
    Column("duration", 9, 0, lambda one, glyphs: seconds(one.duration_s, glyphs)),
)

_GAP = 2


def calls_table(listed: Sequence[Listed], width: int, glyphs: Glyphs) -> "Table":
    """A table of calls for a terminal of `width` cells."""
    from rich.table import Table

    table = Table(box=None, padding=(0, _GAP, 0, 0), pad_edge=False, header_style="dim")
    columns = fitting(width)
    for column in columns:
        justify: Literal["left", "right"] = "right" if column.right else "left"
        table.add_column(
            column.title, justify=justify, no_wrap=True, overflow="crop", max_width=column.width
        )
    for one in listed:
        style = "" if one.outcome == "finished" else "red" if one.outcome == "failed" else "yellow"
        table.add_row(*(clean(c.cell(one, glyphs), glyphs) for c in columns), style=style)
    return table


def fitting(width: int) -> list[Column]:
    """The columns for which there is room."""
    columns = list(COLUMNS)
    while sum(column.width + _GAP for column in columns) - _GAP > width:
        worst = max(column.rank for column in columns)
        if worst == 0:
            break
        columns.remove(next(column for column in reversed(columns) if column.rank == worst))
    return columns
