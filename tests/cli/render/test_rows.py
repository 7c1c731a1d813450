"""The tree of rows, at any width, with any text."""

from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from otel_llm.cli.render.rows import (
    Course,
    Drawing,
    Moment,
    Row,
    Share,
    Wait,
    Whole,
    Work,
    lines,
)
from otel_llm.cli.render.text import ASCII, UNICODE

times = st.integers(0, 2000)
drawings: st.SearchStrategy[Drawing | None] = st.one_of(
    st.none(),
    *(st.builds(kind, times, times) for kind in (Whole, Work, Wait, Moment)),
    st.builds(Share, times, times, times),
    st.builds(Course, times, times, st.just([])),
)
trees = st.recursive(
    st.builds(
        Row, st.text(max_size=40), drawings, details=st.lists(st.text(max_size=90), max_size=4)
    ),
    lambda inner: st.builds(
        Row, st.text(max_size=40), drawings, children=st.lists(inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(deadline=None, max_examples=40)
@given(trees, st.integers(44, 220))
def test_no_line_is_wider_than_the_terminal(tree: Row, width: int) -> None:
    """Any tree keeps within any terminal from 44 cells on."""
    for glyphs in (UNICODE, ASCII):
        for line in lines(tree, width, (0, 1000), glyphs):
            assert cell_len(line.plain) <= width
            assert line.plain.isprintable()


def test_the_trees_lines() -> None:
    """Children hang on tees, the last one on a corner, details under their row."""
    leaf = Row("leaf", Work(0, 1000), details=("more",))
    tree = Row("root", Whole(0, 1000), children=(Row("branch", children=(leaf,)), leaf))
    text = [line.plain.rstrip() for line in lines(tree, 50, (0, 1000), ASCII)]
    assert [line[:10].rstrip() for line in text[1:]] == [
        "root", "|-branch", "| `-leaf", "|     more", "`-leaf", "    more",
    ]  # fmt: skip


def test_the_heading_names_the_span() -> None:
    """The lane goes from 0 to the whole's length."""
    (heading, _) = lines(Row("x", Whole(5, 2_000_005)), 80, (5, 2_000_005), ASCII)
    assert heading.plain.split() == ["start", "time", "0", "2.00", "ms"]
