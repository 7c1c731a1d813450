"""The two slots of a ring's state: one damaged slot never speaks for the ring."""

from hypothesis import given
from hypothesis import strategies as st

from otel_llm.journal.layout import (
    FRAME_BYTES,
    HEADER_BYTES,
    STATE,
    STATE_SLOTS,
    State,
    best_state,
    tail_check,
)

CAPACITY = 1 << 20


@st.composite
def states(draw: st.DrawFn) -> State:
    """States that a ring of that size can be in."""
    tail_seq = draw(st.integers(1, 1 << 30))
    tail = (tail_seq - 1) * draw(st.integers(3, 8)) * 8
    live = draw(st.integers(0, 1000))
    head = tail + live * draw(st.integers(3, 100)) * 8
    return State(head, tail_seq + live, tail, tail_seq)


def header(*slots: State) -> bytearray:
    """A header with these states in its slots."""
    made = bytearray(HEADER_BYTES)
    for at, state in zip(STATE_SLOTS, slots, strict=True):
        check = state.head ^ state.seq ^ tail_check(state.tail, state.tail_seq)
        STATE.pack_into(made, at, *state, check)
    return made


@given(states(), st.integers(1, 50), st.integers(3, 40), st.integers(0, STATE.size * 8 - 1))
def test_a_flipped_bit_leaves_the_other_slot(
    old: State, records: int, words: int, bit: int
) -> None:
    """The newer state counts; with any bit of it flipped, the older one does."""
    newer = old._replace(head=old.head + records * words * 8, seq=old.seq + records)
    made = header(old, newer)
    if newer.head - newer.tail <= CAPACITY:
        assert best_state(bytes(made), CAPACITY) == newer
    made[STATE_SLOTS[1] + bit // 8] ^= 1 << bit % 8
    assert best_state(bytes(made), CAPACITY) == old


@given(states(), st.integers(0, 2), st.integers(3, 500), st.booleans(), st.integers(1, 4))
def test_a_torn_slot_leaves_the_other(
    before: State, records: int, words: int, moved: bool, stored: int
) -> None:
    """A slot of which only the first words are new speaks for neither state."""
    between = before._replace(head=before.head + 8 * words, seq=before.seq + 1)
    tail = (before.tail + 24, before.tail_seq + 1) if moved else before[2:]
    after = State(before.head + records * words * 8, before.seq + records, *tail)
    torn, whole = header(before, between), header(after, between)
    begin = STATE_SLOTS[0]
    torn[begin : begin + 8 * stored] = whole[begin : begin + 8 * stored]
    state = best_state(bytes(torn), CAPACITY)
    assert state in (between, before)
    if between.head - between.tail <= CAPACITY:
        assert state == between


@given(states())
def test_impossible_states_are_refused(state: State) -> None:
    """A state with a right check that no ring can be in is no state."""
    for wrong in (
        state._replace(head=state.tail - 8) if state.tail else state._replace(head=4),
        state._replace(head=state.tail + CAPACITY + 8),
        state._replace(head=state.head + 1),
        state._replace(tail_seq=0),
        state._replace(tail_seq=state.seq + 1),
        state._replace(seq=state.tail_seq + (state.head - state.tail) // FRAME_BYTES + 1),
        state._replace(seq=state.seq + (1 << 40), tail_seq=state.tail_seq + (1 << 40)),
    ):
        assert best_state(bytes(header(wrong, wrong)), CAPACITY) is None
