"""What a journal holds in short, and what it costs whoever reads it."""

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_llm.clock import MonotonicNs
from otel_llm.facts import PHASE_DECODE, StepDone, StepScheduled
from otel_llm.facts.step import MAX_MEMBERS, packed
from otel_llm.journal.reader import JournalReader
from otel_llm.journal.writer import Journal
from tests.journal.conftest import OpenJournal

PathOf = Callable[[Journal], Path]

NOW = MonotonicNs(7)


@given(st.lists(st.integers(1, 2**40), min_size=1, max_size=40))
def test_a_batch_that_decodes_is_written_out(members: list[int]) -> None:
    """Every member of a short batch decodes one token; the rest of the record stays as it is."""
    context = [index % 1000 for index in members]
    short = StepScheduled(3, NOW, members, b"", [], context, 5, 6, 7, 8, [], short=True)
    phase = bytes([PHASE_DECODE]) * len(members)
    meant = StepScheduled(3, NOW, members, phase, [1] * len(members), context, 5, 6, 7, 8, [])
    assert short.whole() == meant
    assert meant.whole() is meant


@given(st.integers(1, 300))
def test_a_result_of_one_token_each_is_written_out(ones: int) -> None:
    """So many members gained one token; a result that tells nothing goes on telling nothing."""
    short = StepDone(3, NOW, [], 11, [], "FULL", ones)
    assert short.whole() == StepDone(3, NOW, [1] * ones, 11, [], "FULL")
    assert StepDone(3, NOW).whole() == StepDone(3, NOW)


def test_a_reader_writes_out_what_is_scheduled(journal: Journal, path_of: PathOf) -> None:
    """The members are there already; a result's one number is left to who knows its step."""
    journal.write(StepScheduled(1, NOW, [4, 9], b"", [], [30, 40], short=True))
    journal.write(StepDone(1, NOW, ones=2))
    reader = JournalReader.open(path_of(journal))
    _anchor, scheduled, done = reader.read()
    reader.close()
    assert isinstance(scheduled, StepScheduled)
    assert (scheduled.tokens, scheduled.phase, scheduled.short) == ([1, 1], b"\x01\x01", False)
    assert done == StepDone(1, NOW, ones=2)


def test_many_results_in_short_cost_a_reader_no_more_than_they_take(
    open_small: OpenJournal, path_of: PathOf
) -> None:
    """Results that each claim the largest batch are read in the memory of any small records."""
    journal = open_small(journal_bytes=1 << 20)
    for seq in range(1, 10_001):
        journal.write(StepDone(seq, NOW, ones=MAX_MEMBERS))
    reader = JournalReader.open(path_of(journal))
    tracemalloc.start()
    try:
        records = reader.read()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        reader.close()
    assert len(records) == 10_000
    assert peak < 16 << 20


@pytest.mark.parametrize("ones", [-1, MAX_MEMBERS + 1, 2**62])
def test_no_number_in_a_journal_makes_a_reader_allocate(
    journal: Journal, path_of: PathOf, ones: int
) -> None:
    """A result for more members than any batch has is no record, and is counted."""
    journal.write(StepDone(1, NOW, ones=ones))
    reader = JournalReader.open(path_of(journal))
    assert [type(one).__name__ for one in reader.read()] == ["Anchor"]
    assert reader.lost.undecodable == 1
    reader.close()


@given(st.lists(st.integers(-(1 << 63), (1 << 63) - 1), max_size=300))
def test_packed_numbers_are_the_same(numbers: list[int]) -> None:
    """An array holds what its list held, and is not made a second time."""
    made = packed(numbers)
    assert made.tolist() == numbers
    assert packed(made) is made


@pytest.mark.parametrize("number", [1 << 63, -(1 << 63) - 1, 1 << 200])
def test_what_no_array_holds(number: int) -> None:
    """A number of more than 63 bits is told as such; the agent's rules mend it."""
    with pytest.raises(OverflowError):
        packed([1, number])


def test_short_takes_less() -> None:
    """A batch of 256 takes 500 bytes less when it is scheduled, and 250 less for its result."""
    members, encode = list(range(256)), msgspec.msgpack.encode
    short = StepScheduled(1, NOW, members, b"", [], members, short=True)
    assert len(encode(short.whole())) - len(encode(short)) > 500
    done = StepDone(1, NOW, ones=256)
    assert len(encode(done.whole())) - len(encode(done)) > 250
