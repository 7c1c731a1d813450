"""Lanes: stretches, moments, courses and shares."""

from hypothesis import given, settings
from hypothesis import strategies as st

from otel_llm.cli.render.lane import Scale, Value, course, moment, share, stretch
from otel_llm.cli.render.text import ASCII, UNICODE

TEN = Scale(1000, 100, 10)


def test_a_stretch_has_halves() -> None:
    """Half cells show where a stretch begins and ends."""
    assert stretch(TEN, 1000, 1100, UNICODE.work) == "█" * 10
    assert stretch(TEN, 1005, 1025, UNICODE.work) == "▐█▌"
    assert stretch(TEN, 1090, 1100, UNICODE.whole) == " " * 9 + "━"


def test_the_shortest_stretch_is_seen() -> None:
    """What is too short for half a cell gets half a cell, at the right edge too."""
    assert stretch(TEN, 1050, 1050, UNICODE.work) == " " * 5 + "▌"
    assert stretch(TEN, 1100, 1100, UNICODE.work) == " " * 9 + "▐"


def test_a_moment_and_the_way_to_it() -> None:
    """The way is dotted and the moment marked, inside the lane always."""
    assert moment(TEN, 1000, 1045, UNICODE) == "╌╌╌╌◆"
    assert moment(TEN, 1000, 2000, ASCII) == "-" * 9 + "+"
    assert moment(TEN, 1030, 1030, ASCII) == "   +"


def test_a_course_shows_the_highest_value() -> None:
    """Each cell shows its highest value as a share of all; nothing happened is blank."""
    values = [Value(1000, 1020, 1), Value(1020, 1040, 4), Value(1080, 1100, 8)]
    assert course(TEN, values, UNICODE) == "▁▁▄▄    ██"
    assert course(TEN, [], UNICODE) == ""


def test_a_share() -> None:
    """A share of nothing is nothing."""
    assert share(1, 2, 10, UNICODE) == "█████"
    assert share(0, 2, 10, UNICODE) == ""
    assert share(1, 0, 10, UNICODE) == ""


times = st.integers(0, 3000)


@settings(deadline=None)
@given(times, times, st.integers(1, 5000), st.integers(1, 200))
def test_nothing_leaves_the_lane(start: int, end: int, length: int, width: int) -> None:
    """Whatever the times, a drawing is not empty and fits."""
    scale = Scale(1000, length, width)
    first, last = sorted((start, end))
    for drawn in (
        stretch(scale, first, last, ASCII.work),
        moment(scale, first, last, ASCII),
        course(scale, [Value(first, last, 3)], ASCII),
    ):
        assert 0 < len(drawn) <= width
        assert drawn.strip()
