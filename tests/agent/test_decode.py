"""Records as the agent decodes them: what the journal's reader reads, with arrays in steps."""

import tracemalloc
from array import array
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from otel_llm.agent.decode import RECORDS, PackedStep
from otel_llm.facts import StepScheduled
from otel_llm.facts.step import MAX_MEMBERS
from otel_llm.journal.reader import DECODE, Decode
from otel_llm.journal.records import KIND_OF, Record
from tests.agent.builders import at

KIND = KIND_OF[StepScheduled]
LISTS = ("request_index", "tokens", "context", "drafts")
EDGES = [0, 1, 127, 128, 255, 256, 65_535, 65_536, (1 << 32) - 1, 1 << 32, (1 << 63) - 1, 1 << 63,
         (1 << 64) - 1, -1, -32, -33, -128, -129, -32_768, -32_769, -(1 << 31), -(1 << 31) - 1,
         -(1 << 63)]  # fmt: skip
NUMBERS = st.lists(st.sampled_from(EDGES) | st.integers(-(1 << 63), (1 << 64) - 1), max_size=40)
SCALARS = st.none() | st.booleans() | st.integers(-9, 9) | st.floats() | st.text(max_size=3)
VALUES = st.recursive(
    SCALARS | st.binary(max_size=40),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=4,
)


def listed(record: Record | None) -> Record | None:
    """A step with lists again."""
    if not isinstance(record, StepScheduled):
        return record
    lists: dict[str, Any] = {name: list(getattr(record, name)) for name in LISTS}
    return msgspec.structs.replace(record, **lists)


def decoded(decoders: Mapping[int, Decode], payload: bytes) -> Record | None:
    """A step, None where it is none."""
    try:
        return listed(decoders[KIND](memoryview(payload)))
    except (msgspec.MsgspecError, ValueError):
        return None


def agree(payload: bytes) -> None:
    """The agent's decoder says what the reader's says."""
    assert decoded(RECORDS, payload) == decoded(DECODE, payload)


def test_a_packed_step_has_the_fields_of_a_step() -> None:
    """One that was added to a step would be lost."""
    assert PackedStep.__struct_fields__ == StepScheduled.__struct_fields__


@given(NUMBERS, NUMBERS, NUMBERS, NUMBERS, st.booleans())
def test_numbers_of_every_width(
    index: list[int], tokens: list[int], context: list[int], drafts: list[int], short: bool
) -> None:
    """No number changes; what no array holds stays a list, which the rules mend."""
    step = StepScheduled(7, at(3), index, b"\0\1", tokens, context, 1, 2, 3, 4, drafts, short)
    payload = msgspec.msgpack.encode(step)
    agree(payload)
    made = RECORDS[KIND](memoryview(payload))
    assert isinstance(made, StepScheduled)
    fits = all(number < 1 << 63 for number in [*index, *tokens, *context, *drafts])
    assert all(isinstance(getattr(made, name), array) for name in LISTS) or not fits


@pytest.mark.parametrize("count", [15, 16, 65_535, 65_536])
def test_lists_of_every_length(count: int) -> None:
    """However long the length of a list is itself."""
    numbers = list(range(count))
    step = StepScheduled(7, at(3), numbers, b"", [], numbers, short=True)
    agree(msgspec.msgpack.encode(step))


def test_batches_longer_than_any_leave_nothing_behind() -> None:
    """What short steps share is kept only for lengths that a batch may have."""
    payloads = [
        msgspec.msgpack.encode(
            StepScheduled(7, at(3), [1] * (4 * MAX_MEMBERS + more), b"", [], [], short=True)
        )
        for more in range(8)
    ]
    tracemalloc.start()
    try:
        for payload in payloads:
            RECORDS[KIND](memoryview(payload))
        left = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert left < 1 << 20


@given(st.lists(VALUES | NUMBERS, max_size=14))
@example([1, 2, b"12345678", b"", b"", b""])
@example([1, 2, [3], [1], [1], [1]])
@example([1, 2, [3], b"\1", [1], [1], 0, 0, 0, 0, [], False, "newer", [1, 2]])
def test_what_is_no_step(values: list[Any]) -> None:
    """Bytes in place of a list, lists in place of bytes, anything at all."""
    agree(msgspec.msgpack.encode(values))


@given(st.data())
def test_damaged_steps(data: st.DataObject) -> None:
    """Cut off, or with any bytes changed."""
    step = StepScheduled(7, at(3), [1, 300, 1 << 40], b"\1\0\1", [1, 2, 3], [9, 9, 9], 1, 2)
    payload = bytearray(msgspec.msgpack.encode(step))
    for _ in range(data.draw(st.integers(0, 3))):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    agree(bytes(payload[: data.draw(st.integers(0, len(payload)))]))
