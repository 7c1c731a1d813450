"""Small pieces of text: durations, counts, and strings that are safe to print."""

import textwrap
from collections.abc import Iterable, Iterator
from typing import NamedTuple


class Brush(NamedTuple):
    """The characters of a whole cell, of its left half and of its right half."""

    full: str
    left: str
    right: str


class Glyphs(NamedTuple):
    """The characters of a drawing.

    Attributes:
        tee, corner, pipe: of the tree.
        work: something was done.
        wait: nothing was done.
        whole: something that has parts.
        dots, mark: the way to a moment, and the moment.
        levels: from low to high.
        separator, ellipsis, micro: of texts.
    """

    tee: str
    corner: str
    pipe: str
    work: Brush
    wait: Brush
    whole: Brush
    dots: str
    mark: str
    levels: str
    separator: str
    ellipsis: str
    micro: str


UNICODE = Glyphs(
    "├ ", "└ ", "│ ", Brush("█", "▌", "▐"), Brush("░", "░", "░"), Brush("━", "╸", "╺"),
    "╌", "◆", "▁▂▃▄▅▆▇█", " · ", "…", "µ",
)  # fmt: skip
ASCII = Glyphs(
    "|-", "`-", "| ", Brush("#", "#", "#"), Brush(".", ".", "."), Brush("=", "=", "="),
    "-", "+", ".:-=+*%@", ", ", "~", "u",
)  # fmt: skip

_UNITS = ((1e9, " s"), (1e6, " ms"), (1e3, " {micro}s"), (1.0, " ns"))


def duration(nanoseconds: int, glyphs: Glyphs = UNICODE) -> str:
    """A duration with three digits and its unit, for example `3.10 ms`."""
    if nanoseconds == 0:
        return "0 s"
    size = abs(nanoseconds)
    if size >= 99_950_000_000:
        minutes, seconds = divmod(round(nanoseconds / 1e9), 60)
        return f"{minutes} min {seconds:02} s"
    # 999.6 rounds to 1000: such a value belongs to the next unit.
    scale, unit = next((s, u) for s, u in _UNITS if size >= s * 0.9995 or s == 1.0)
    value = nanoseconds / scale
    digits = 0 if scale == 1.0 or abs(value) >= 99.95 else 1 if abs(value) >= 9.995 else 2
    return f"{value:.{digits}f}{unit.format(micro=glyphs.micro)}"


def seconds(value: float | None, glyphs: Glyphs = UNICODE) -> str:
    """A duration in seconds as `duration` prints it; a dash for None."""
    return "-" if value is None else duration(round(value * 1e9), glyphs)


def joules(value: float | None) -> str:
    """An energy in the unit that suits its size; a dash for None."""
    if value is None:
        return "-"
    for size, unit in ((1e6, "MJ"), (1e3, "kJ"), (1.0, "J")):
        if value >= size:
            return (
                f"{value / size:.3g} {unit}" if value / size < 100 else f"{value / size:.0f} {unit}"
            )
    return f"{value * 1e3:.3g} mJ" if value else "0 J"


def count(number: int, noun: str, plural: str = "") -> str:
    """A number and its noun, for example `1 step`, `2,048 steps`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def clean(text: str, glyphs: Glyphs = UNICODE) -> str:
    """Make somebody else's text safe for a terminal: no control characters, no escapes."""
    safe = "".join(char if char.isprintable() else "?" for char in text)
    return safe.encode("ascii", "replace").decode() if glyphs is ASCII else safe


def fit(text: str, width: int, glyphs: Glyphs = UNICODE) -> str:
    """Cut or pad a text to exactly `width` terminal cells."""
    from rich.cells import cell_len, set_cell_size

    if cell_len(text) > width:
        return set_cell_size(text, max(width - 1, 0)) + glyphs.ellipsis[:width]
    return set_cell_size(text, width)


def joined(parts: Iterable[str], width: int, glyphs: Glyphs = UNICODE) -> Iterator[str]:
    """Join parts with separators, as many to a line as there is room for.

    Only a part that is wider than a line is broken in two, at a blank if it has one.
    """
    from rich.cells import cell_len

    line = ""
    for part in parts:
        longer = line + glyphs.separator + part if line else part
        if line and cell_len(longer) > width:
            yield from _broken(line, width, glyphs)
            longer = part
        line = longer
    if line:
        yield from _broken(line, width, glyphs)


def _broken(line: str, width: int, glyphs: Glyphs) -> Iterator[str]:
    # Wide characters count as one in textwrap: what is still too wide is cut.
    for piece in textwrap.wrap(line, max(width, 8), break_on_hyphens=False):
        yield fit(piece, width, glyphs).rstrip()


def percentages(parts: list[int], total: int) -> list[float]:
    """Shares of a total in percent with one decimal, whose sum is exactly that of the whole.

    Args:
        parts: not negative; they add up to `total`.
        total: what is 100 %.
    """
    if total <= 0:
        return [0.0 for _ in parts]
    exact = [part * 1000 / total for part in parts]
    tenths = [int(share) for share in exact]
    by_rest = sorted(range(len(parts)), key=lambda i: exact[i] - tenths[i], reverse=True)
    for place in by_rest[: 1000 - sum(tenths)]:
        tenths[place] += 1
    return [tenth / 10 for tenth in tenths]
