"""The drawn part of a row: a stretch of time, a moment, a course of values or a share."""

from collections.abc import Sequence
from typing import NamedTuple

from otel_llm.cli.render.text import Brush, Glyphs


class Scale(NamedTuple):
    """A stretch of time over a number of terminal cells.

    Attributes:
        start_ns: the time at the left edge.
        length_ns: from edge to edge; at least 1.
        width: cells.
    """

    start_ns: int
    length_ns: int
    width: int

    def halves(self, time_ns: int) -> int:
        """Half cells from the left edge to a time, held inside."""
        place = round((time_ns - self.start_ns) * 2 * self.width / self.length_ns)
        return max(0, min(2 * self.width, place))


def stretch(scale: Scale, start_ns: int, end_ns: int, brush: Brush) -> str:
    """Draw from one time to another, at least half a cell wide."""
    full, left, right = brush
    first, last = scale.halves(start_ns), scale.halves(end_ns)
    if first == last:
        first, last = (first, first + 1) if first < 2 * scale.width else (first - 1, first)
    cells = []
    for cell in range((last + 1) // 2):
        has_left, has_right = first <= 2 * cell < last, first <= 2 * cell + 1 < last
        cells.append({(1, 1): full, (1, 0): left, (0, 1): right}.get((has_left, has_right), " "))
    return "".join(cells)


def moment(scale: Scale, start_ns: int, time_ns: int, glyphs: Glyphs) -> str:
    """Draw the way from a start to a moment."""
    last = min(scale.halves(time_ns) // 2, scale.width - 1)
    first = min(scale.halves(start_ns) // 2, last)
    return " " * first + glyphs.dots * (last - first) + glyphs.mark


class Value(NamedTuple):
    """A value that held over a stretch of time."""

    start_ns: int
    end_ns: int
    value: int


def course(scale: Scale, values: Sequence[Value], glyphs: Glyphs) -> str:
    """Draw the highest value in each cell, as a share of the highest of all."""
    highest = [0] * scale.width
    for value in values:
        first = min(scale.halves(value.start_ns) // 2, scale.width - 1)
        last = max(first + 1, (scale.halves(value.end_ns) + 1) // 2)
        for cell in range(first, min(last, scale.width)):
            highest[cell] = max(highest[cell], value.value)
    top = max(highest, default=0)
    steps = len(glyphs.levels)
    drawn = (glyphs.levels[-(-height * steps // top) - 1] if height else " " for height in highest)
    return "".join(drawn).rstrip()


def share(part: int, whole: int, width: int, glyphs: Glyphs) -> str:
    """Draw a part of a whole from the left edge."""
    if not part or not whole:
        return ""
    return stretch(Scale(0, whole, width), 0, part, glyphs.work)
