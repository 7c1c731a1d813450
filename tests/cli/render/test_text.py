"""Small pieces of text."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from otel_llm.cli.render.text import ASCII, UNICODE, clean, count, duration, fit, percentages


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0 s"), (1, "1 ns"), (999, "999 ns"), (1_000, "1.00 µs"), (99_949, "99.9 µs"),
        (999_600, "1.00 ms"), (3_100_000, "3.10 ms"), (958_180_000, "958 ms"),
        (999_499_999, "999 ms"), (999_500_000, "1.00 s"), (12_345_678_901, "12.3 s"),
        (99_949_000_000, "99.9 s"), (125_000_000_000, "2 min 05 s"), (-3_100_000, "-3.10 ms"),
    ],
)  # fmt: skip
def test_durations(nanoseconds: int, text: str) -> None:
    """Three digits and a unit; no value rounds into a fourth digit."""
    assert duration(nanoseconds) == text


@settings(deadline=None)
@given(st.integers(1, 99_000_000_000))
def test_durations_are_short_and_true(nanoseconds: int) -> None:
    """At most eight cells, and within half a per cent of the truth."""
    text = duration(nanoseconds, ASCII)
    value, unit = text.split()
    assert len(text) <= 8
    shown = float(value) * {"ns": 1, "us": 1e3, "ms": 1e6, "s": 1e9}[unit]
    assert abs(shown - nanoseconds) <= 0.0051 * nanoseconds


@settings(deadline=None)
@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=8))
def test_percentages_are_100_together(parts: list[int]) -> None:
    """Shares are within a tenth of the truth and add up exactly."""
    total = sum(parts)
    shares = percentages(parts, total)
    if total:
        assert sum(round(share * 10) for share in shares) == 1000
        assert all(
            abs(share - 100 * part / total) < 0.1 + 1e-9
            for share, part in zip(shares, parts, strict=True)
        )


@settings(deadline=None)
@given(st.text(max_size=30), st.integers(1, 40))
def test_fit_is_exact(text: str, width: int) -> None:
    """Whatever the text, wide characters included, it fills the cells it was given."""
    assert cell_len(fit(clean(text), width)) == width


@settings(deadline=None)
@given(st.text())
def test_clean_text_cannot_steer_a_terminal(text: str) -> None:
    """No escape, no line feed, no direction mark comes through; ASCII stays ASCII."""
    assert clean(text).isprintable()
    assert clean(text, ASCII).isascii()


def test_count() -> None:
    """One is singular, thousands are grouped."""
    assert [count(1, "step"), count(2048, "step"), count(2, "entry", "entries")] == [
        "1 step", "2,048 steps", "2 entries",
    ]  # fmt: skip


def test_both_alphabets_have_one_cell_per_character() -> None:
    """Every glyph is one cell wide, so columns stay in line."""
    for glyphs in (ASCII, UNICODE):
        for brush in (glyphs.work, glyphs.wait, glyphs.whole):
            assert [cell_len(char) for char in brush] == [1, 1, 1]
        for char in (*glyphs.levels, glyphs.dots, glyphs.mark, glyphs.ellipsis):
            assert cell_len(char) == 1
        assert {len(glyphs.tee), len(glyphs.corner), len(glyphs.pipe)} == {2}
        assert len(glyphs.levels) == 8
