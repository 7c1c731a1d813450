"""A tree of rows, and how it becomes lines of one width."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from otel_llm.cli.render.lane import Scale, Value, course, moment, share, stretch
from otel_llm.cli.render.text import Glyphs, clean, duration, fit, joined

if TYPE_CHECKING:
    from rich.text import Text


class Whole(NamedTuple):
    """A stretch of time that has parts. Times in wall nanoseconds."""

    start_ns: int
    end_ns: int


class Work(NamedTuple):
    """A stretch of time that is a part. Times in wall nanoseconds."""

    start_ns: int
    end_ns: int


class Wait(NamedTuple):
    """A stretch of time in which nothing was done for it. Times in wall nanoseconds."""

    start_ns: int
    end_ns: int


class Moment(NamedTuple):
    """A moment, and what it is measured from. Times in wall nanoseconds."""

    start_ns: int
    end_ns: int


class Course(NamedTuple):
    """How a value went over a stretch of time. Times in wall nanoseconds."""

    start_ns: int
    end_ns: int
    values: Sequence[Value]


class Share(NamedTuple):
    """A part of a sum of durations, in nanoseconds, and of how many; it has no place in time."""

    part_ns: int
    whole_ns: int
    launches: int


Drawing = Whole | Work | Wait | Moment | Course | Share


@dataclass(frozen=True)
class Row:
    """One row of the waterfall.

    Attributes:
        label: what it is.
        drawing: what its lane shows; None for nothing.
        style: rich style of its drawing.
        details: parts of a second line, dim.
        children: rows under it.
    """

    label: str
    drawing: Drawing | None = None
    style: str = ""
    details: Sequence[str] = ()
    children: "Sequence[Row]" = field(default_factory=tuple)


NARROW = 72
"""Below this width the column of start times is left out."""

_TIME_WIDTH = 8
_GAP = 2


class Columns(NamedTuple):
    """Widths of the columns in terminal cells; `start` is 0 where there is no such column."""

    label: int
    start: int
    length: int
    lane: int

    @classmethod
    def of(cls, width: int, longest_label: int) -> "Columns":
        """Divide a terminal's width."""
        start = 0 if width < NARROW else _TIME_WIDTH + 1
        length = _TIME_WIDTH + 1
        label = min(longest_label, width * 3 // 8)
        return cls(label, start, length, max(width - label - start - length - _GAP, 8))


class Sheet(NamedTuple):
    """What all rows are drawn on."""

    columns: Columns
    scale: Scale
    glyphs: Glyphs


def lines(root: Row, width: int, span: tuple[int, int], glyphs: Glyphs) -> "Iterator[Text]":
    """Draw a tree of rows, a heading first.

    Args:
        root: the row of the whole.
        width: terminal cells.
        span: what the lane shows, from and to, in wall nanoseconds.
        glyphs: characters to use.
    """
    longest = max(len(prefix) + len(row.label) for prefix, _, row in _walk(root, "", "", glyphs))
    columns = Columns.of(width, longest)
    scale = Scale(span[0], max(span[1] - span[0], 1), columns.lane)
    sheet = Sheet(columns, scale, glyphs)
    yield _heading(sheet)
    for prefix, below, row in _walk(root, "", "", glyphs):
        yield _main_line(sheet, prefix, row)
        yield from _detail_lines(row, below, width, glyphs)


def _walk(row: Row, prefix: str, below: str, glyphs: Glyphs) -> Iterator[tuple[str, str, Row]]:
    """Rows in order, each with the tree's characters before it and before its details."""
    inner = below + (glyphs.pipe if row.children else "  ")
    yield prefix, inner, row
    for place, child in enumerate(row.children):
        last = place == len(row.children) - 1
        turn = glyphs.corner if last else glyphs.tee
        yield from _walk(child, below + turn, below + ("  " if last else glyphs.pipe), glyphs)


def _heading(sheet: Sheet) -> "Text":
    from rich.text import Text

    columns, scale = sheet.columns, sheet.scale
    start = "start".rjust(columns.start) if columns.start else ""
    end = duration(scale.length_ns, sheet.glyphs)
    lane = "0" + end.rjust(columns.lane - 1)
    text = " " * columns.label + start + "time".rjust(columns.length) + " " * _GAP + lane
    return Text(text, style="dim")


def _main_line(sheet: Sheet, prefix: str, row: Row) -> "Text":
    from rich.text import Text

    columns, glyphs = sheet.columns, sheet.glyphs
    room = columns.label - len(prefix)
    label = fit(clean(row.label, glyphs), room, glyphs)
    start, length = _times(sheet, row.drawing)
    return Text.assemble(
        (prefix, "dim"),
        (label, "bold" if isinstance(row.drawing, Whole) else ""),
        (start.rjust(columns.start) if columns.start else "", "dim"),
        length.rjust(columns.length) + " " * _GAP,
        (_lane(sheet, row.drawing), row.style),
    )


def _times(sheet: Sheet, drawing: Drawing | None) -> tuple[str, str]:
    if drawing is None:
        return "", ""
    if isinstance(drawing, Share):
        return "", duration(drawing.part_ns, sheet.glyphs)
    start = drawing.start_ns - sheet.scale.start_ns
    length = drawing.end_ns - drawing.start_ns
    return duration(start, sheet.glyphs), duration(length, sheet.glyphs)


def _lane(sheet: Sheet, drawing: Drawing | None) -> str:
    scale, glyphs = sheet.scale, sheet.glyphs
    brushes = {Whole: glyphs.whole, Work: glyphs.work, Wait: glyphs.wait}
    if isinstance(drawing, Whole | Work | Wait):
        return stretch(scale, drawing.start_ns, drawing.end_ns, brushes[type(drawing)])
    if isinstance(drawing, Moment):
        return moment(scale, drawing.start_ns, drawing.end_ns, glyphs)
    if isinstance(drawing, Course):
        return course(scale, drawing.values, glyphs)
    if isinstance(drawing, Share):
        return _share(drawing, scale.width, glyphs)
    return ""


def _share(drawing: Share, width: int, glyphs: Glyphs) -> str:
    percent = 100 * drawing.part_ns / drawing.whole_ns if drawing.whole_ns else 0
    text = f"{percent:5.1f}% {f'x{drawing.launches:,}':<7}"
    room = max(width - len(text) - 1, 1)
    return f"{text} {share(drawing.part_ns, drawing.whole_ns, room, glyphs)}"


def _detail_lines(row: Row, below: str, width: int, glyphs: Glyphs) -> "Iterator[Text]":
    from rich.text import Text

    details = [clean(detail, glyphs) for detail in row.details]
    for line in joined(details, width - len(below), glyphs):
        yield Text.assemble((below, "dim"), (line, "dim"))
