"""How the agent decodes records: steps with arrays where the journal has lists of numbers.

As a list, each number of each member would become an object of Python's, only to be made a number
again.
"""

import functools
from array import array
from collections.abc import Mapping

import msgspec

from otel_llm.agent import _native
from otel_llm.clock import MonotonicNs
from otel_llm.facts import PHASE_DECODE, StepScheduled
from otel_llm.facts.step import MAX_MEMBERS, ones
from otel_llm.journal.reader import DECODE, Decode
from otel_llm.journal.records import KIND_OF, Record

_LISTS = ("request_index", "tokens", "context", "drafts")
_FIELDS = sum(1 << StepScheduled.__struct_fields__.index(name) for name in _LISTS)
_NONE = array("q")


class PackedStep(msgspec.Struct, frozen=True, array_like=True):
    """As `StepScheduled`, with the bytes of arrays for lists of numbers."""

    seq: int
    schedule_ns: MonotonicNs
    request_index: bytes
    phase: bytes
    tokens: bytes
    context: bytes
    running: int = 0
    waiting: int = 0
    kv_used: int = 0
    kv_total: int = 0
    drafts: bytes = b""
    short: bool = False


@functools.lru_cache(maxsize=16)
def _phases(count: int) -> bytes:
    return bytes([PHASE_DECODE]) * count


_packed_step = msgspec.msgpack.Decoder(PackedStep).decode
_listed_step = DECODE[KIND_OF[StepScheduled]]


def _step(payload: memoryview) -> Record:
    packed = _native.packed(bytes(payload), _FIELDS)
    if packed is None:  # numbers that no array holds, which the rules mend, or no such record
        return _listed_step(payload)
    step = _packed_step(packed)
    index = array("q", step.request_index)
    if step.short and len(index) <= MAX_MEMBERS:
        phase, tokens = _phases(len(index)), ones(len(index))
    elif step.short:  # the rules drop it
        return _listed_step(payload)
    else:
        phase, tokens = step.phase, array("q", step.tokens)
    return StepScheduled(
        step.seq, step.schedule_ns, index, phase, tokens, array("q", step.context), step.running,
        step.waiting, step.kv_used, step.kv_total,
        array("q", step.drafts) if step.drafts else _NONE,
    )  # fmt: skip


RECORDS: Mapping[int, Decode] = {**DECODE, KIND_OF[StepScheduled]: _step}
"""For each kind of record, what decodes it."""
