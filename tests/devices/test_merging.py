"""Storms of events, merged."""

import msgspec
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


def test_the_next_is_given_a_second_later() -> None:
    """With what came meanwhile, and then again; nothing is remembered of what is long over."""
    merger = Merger()
    told = []
    for at_ns in range(0, 4 * EVERY_NS, EVERY_NS // 4):
        merger.add([event("xid", 79, at_ns)])
        told += [each.occurrences for each in merger.due(MonotonicNs(at_ns))]
    assert told == [1, 4, 4, 4]
    list(merger.due(MonotonicNs(9 * EVERY_NS)))
    list(merger.due(MonotonicNs(99 * EVERY_NS)))
    assert not merger._given_ns


def test_events_that_stand_for_several() -> None:
    """What each stands for is added up: a counter grew by three, then by four."""
    merger = Merger()
    merger.add(msgspec.structs.replace(event("ecc"), occurrences=each) for each in (3, 4))
    assert [each.occurrences for each in merger.due(MonotonicNs(0))] == [7]


def test_events_that_say_different_things() -> None:
    """A row that was remapped and a remapping that waits are two."""
    merger = Merger()
    merger.add(
        msgspec.structs.replace(event("remapped"), message=message) for message in ("a", "b", "a")
    )
    given_out = [(each.message, each.occurrences) for each in merger.due(MonotonicNs(0))]
    assert given_out == [("a", 2), ("b", 1)]


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
