"""The step: one engine iteration over one batch. It serves many requests.

A step is written twice: when it is scheduled, with its batch, and when its result is in. A step
with no second half was in flight when its engine died.

A journal may hold both in short, where every member decodes one token: three bytes less for each
member. A reader writes out what is scheduled, which costs no more than the record's own members.
What a result has in short is written out only against its step: its one number could stand for any
size.

Numbers of members are lists as a journal holds them. The agent packs them into arrays, which NumPy
and Arrow read where they are, and which take a sixth of the memory.
"""

import functools
import struct
from array import array
from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from otel_llm.clock import MonotonicNs

PHASE_PREFILL = 0
PHASE_DECODE = 1

MAX_MEMBERS = 1 << 16
"""Most members of a batch that a record may stand for in short."""

Numbers = Sequence[int]
"""One number for each member: a list, or an array of 64-bit integers."""


def packed(numbers: Numbers) -> "array[int]":
    """Numbers as an array, made by way of their bytes, in about half the time.

    Raises:
        OverflowError: one of them has more than 63 bits.
    """
    if isinstance(numbers, array):
        return numbers
    try:
        return array("q", struct.pack(f"{len(numbers)}q", *numbers))
    except struct.error:
        return array("q", numbers)  # says what is wrong with them


def ones(count: int) -> "array[int]":
    """One for each of so many members. Many steps share it, so nobody may change it."""
    return _shared_ones(count) if count <= MAX_MEMBERS else array("q", (1,)) * count


@functools.lru_cache(maxsize=16)
def _shared_ones(count: int) -> "array[int]":
    return array("q", (1,)) * count


def _packed_counts(numbers: Numbers) -> "array[int]":
    """The same, quick where each member has one token, as most often."""
    if not isinstance(numbers, array) and numbers.count(1) == len(numbers):
        return ones(len(numbers))
    return packed(numbers)


class StepScheduled(msgspec.Struct, frozen=True, array_like=True):
    """A batch as the scheduler made it. The arrays have one entry per member.

    Attributes:
        seq: number of the step in its journal, from 1.
        schedule_ns: the scheduler decided, in monotonic nanoseconds.
        request_index: shape (batch,); `RequestArrived.index` of each member.
        phase: shape (batch,); PHASE_PREFILL or PHASE_DECODE, one byte each.
        tokens: shape (batch,); tokens scheduled for each member in this step.
        context: shape (batch,); tokens of each member computed before this step.
        running: requests running at schedule time, this batch included.
        waiting: requests waiting at schedule time.
        kv_used: KV-cache blocks in use at schedule time.
        kv_total: KV-cache blocks there are.
        drafts: shape (batch,); of `tokens`, how many are speculative. Empty if none is.
        short: `phase` and `tokens` are left out, as every member decodes one token.
    """

    seq: int
    schedule_ns: MonotonicNs
    request_index: Numbers
    phase: bytes
    tokens: Numbers
    context: Numbers
    running: int = 0
    waiting: int = 0
    kv_used: int = 0
    kv_total: int = 0
    drafts: Numbers = []
    short: bool = False

    def whole(self) -> "StepScheduled":
        """The same, with nothing left out."""
        if not self.short:
            return self
        members = len(self.request_index)
        phase, tokens = bytes([PHASE_DECODE]) * members, [1] * members
        return msgspec.structs.replace(self, phase=phase, tokens=tokens, short=False)

    def packed(self) -> "StepScheduled":
        """The same, its numbers as arrays.

        Raises:
            OverflowError: one of them has more than 63 bits.
        """
        numbers = (self.request_index, self.tokens, self.context, self.drafts)
        if all(type(one) is array for one in numbers):
            return self
        return msgspec.structs.replace(
            self,
            request_index=packed(self.request_index),
            tokens=_packed_counts(self.tokens),
            context=packed(self.context),
            drafts=packed(self.drafts),
        )


class StepDone(msgspec.Struct, frozen=True, array_like=True):
    """The result of a step.

    Attributes:
        seq: as in `StepScheduled`.
        result_ns: the result was in, in monotonic nanoseconds.
        emitted: shape (batch,); output tokens each member gained. Empty if not told.
        execute_ns: CPU time around the model's execution, in nanoseconds. It is launch time where
            the engine schedules asynchronously, never GPU time.
        accepted: shape (batch,); speculative tokens that were accepted. Empty if none was proposed.
        cudagraph_mode: how the step ran on CUDA graphs, in the engine's words, for example `FULL`
            or `NONE`; empty if not told.
        ones: so many members gained one token each, and no other gained any: `emitted` is left out.
            0 if it is not.
    """

    seq: int
    result_ns: MonotonicNs
    emitted: Numbers = []
    execute_ns: int | None = None
    accepted: Numbers = []
    cudagraph_mode: str = ""
    ones: Annotated[int, Meta(ge=0, le=MAX_MEMBERS)] = 0

    def whole(self) -> "StepDone":
        """The same, with nothing left out. First see that `ones` are as many as the step had."""
        if not self.ones:
            return self
        return msgspec.structs.replace(self, emitted=[1] * self.ones, ones=0)

    def packed(self) -> "StepDone":
        """The same, its numbers as arrays.

        Raises:
            OverflowError: one of them has more than 63 bits.
        """
        return msgspec.structs.replace(
            self, emitted=_packed_counts(self.emitted), accepted=packed(self.accepted)
        )
