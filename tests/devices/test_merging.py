"""Storms of events, merged."""

from hypothesis import given
from hypothesis import strategies as st

from otel_llm.clock import MonotonicNs
from otel_llm.devices.merging import EVERY_NS, Merger
from tests.devices.facts import event

CODES = st.sampled_from([13, 31, 79])


def test_the_first_is_given_at_once() -> None:
    """Nobody waits for a page because more might follow."""
    merger = Merger()
    merger.add([event("xid", 79, at_ns=5)])
    [given_out] = merger.due(MonotonicNs(5))
    assert (given_out.code, given_out.occurrences, given_out.at_ns) == (79, 1, 5)


@given(
    st.lists(st.tuples(st.integers(0, EVERY_NS // 2), st.lists(CODES, max_size=20)), max_size=30)
)
def test_none_is_lost_and_few_are_told(rounds: list[tuple[int, list[int]]]) -> None:
    """Occurrences add up to what came, by code; each code is told once a second at most."""
    merger, now_ns, told = Merger(), 0, []
    for wait_ns, codes in rounds:
        now_ns += wait_ns
        merger.add(event("xid", code, now_ns) for code in codes)
        told += [(now_ns, each) for each in merger.due(MonotonicNs(now_ns))]
    told += [(now_ns, each) for each in merger.rest()]
    came = [code for _, codes in rounds for code in codes]
    for code in (13, 31, 79):
        of_code = [each.occurrences for _, each in told if each.code == code]
        assert sum(of_code) == came.count(code)
        assert len(of_code) <= now_ns // EVERY_NS + 2
