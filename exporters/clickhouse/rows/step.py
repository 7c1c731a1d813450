"""Steps of an engine as columns, their batches as arrays. No loop here is over members."""

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import pyarrow as pa

from otel_llm.exporters.clickhouse.rows.common import ENGINE, Columns, taken, wall_times
from otel_llm.facts.joined import JoinedStep
from otel_llm.facts.step import PHASE_PREFILL, Numbers, StepScheduled, packed

_VALUES = {
    **ENGINE,
    "model": "producer.model",
    "seq": "scheduled.seq",
    "status": "status",
    "running": "scheduled.running",
    "waiting": "scheduled.waiting",
    "kv_used": "scheduled.kv_used",
    "kv_total": "scheduled.kv_total",
    "parts": "parts",
}


def step_columns(facts: Sequence[JoinedStep]) -> Columns:
    """Columns of `llm_steps`, one entry per step."""
    batches = [fact.scheduled for fact in facts]
    results = [fact.done for fact in facts]
    return {
        **taken(facts, _VALUES),
        **wall_times(facts, {"scheduled": "scheduled.schedule_ns"}),
        **_perhaps(facts),
        **_phases(batches),
        "request_index": _numbers([batch.request_index for batch in batches]).lists(pa.uint64()),
        "context": _numbers([batch.context for batch in batches]).lists(pa.uint32()),
        "drafts": _numbers([batch.drafts for batch in batches]).lists(pa.uint32()),
        "emitted": _numbers([done.emitted if done else () for done in results]).lists(pa.uint32()),
        "accepted": _numbers([done.accepted if done else () for done in results]).lists(
            pa.uint32()
        ),
    }


class _Members:
    """Numbers of the members of all steps, one after another.

    All of a second's are megabytes, and memory that is new costs more than what is done with it:
    no method makes another array of that size, but for what it returns.

    Attributes:
        values: they.
        ends: shape (steps + 1,); where each step's begin, and the last's end.
    """

    def __init__(self, values: Any, counts: Sequence[int]) -> None:  # noqa: ANN401  NumPy array
        self.values = values
        self.ends = np.fromiter(accumulate(counts, initial=0), np.int32, len(counts) + 1)

    def sums(self) -> Any:  # noqa: ANN401  NumPy array
        """Added up by step."""
        begins, some = self.ends[:-1], np.diff(self.ends) > 0
        sums = np.zeros(len(some), np.int64)
        if some.any():
            sums[some] = np.add.reduceat(self.values, begins[some])
        return sums

    def sums_at(self, places: Any) -> Any:  # noqa: ANN401  NumPy arrays
        """Those at some places, in their order, added up by step."""
        upto = np.concatenate([[0], np.cumsum(self.values[places])])
        return np.diff(upto[np.searchsorted(places, self.ends)])

    def lists(self, kind: pa.DataType) -> pa.Array:
        """A list for each step; raises where one of them does not fit."""
        return pa.ListArray.from_arrays(pa.array(self.ends), pa.array(self.values).cast(kind))


def _members(parts: Sequence[Any], kind: Any) -> _Members:  # noqa: ANN401  buffers, a NumPy type
    return _Members(np.frombuffer(b"".join(parts), kind), [len(part) for part in parts])


def _numbers(parts: Sequence[Numbers]) -> _Members:
    return _members([packed(part) for part in parts], np.int64)


def _phases(batches: Sequence[StepScheduled]) -> Columns:
    """Tokens and the phases they are in, by member and added up."""
    phase = _members([batch.phase for batch in batches], np.uint8)
    tokens = _numbers([batch.tokens for batch in batches])
    prefill = tokens.sums_at(np.flatnonzero(phase.values == PHASE_PREFILL))
    return {
        "prefill_tokens": pa.array(prefill),
        "decode_tokens": pa.array(tokens.sums() - prefill),
        "phase": phase.lists(pa.uint8()),
        "tokens": tokens.lists(pa.uint32()),
    }


def _perhaps(facts: Sequence[JoinedStep]) -> Columns:
    """What a step has only with a result, or only with a span."""
    return {
        "result": [fact.anchor.wall(fact.done.result_ns) if fact.done else None for fact in facts],
        "execute_ns": [fact.done.execute_ns if fact.done else None for fact in facts],
        "cudagraph_mode": [fact.done.cudagraph_mode if fact.done else "" for fact in facts],
        "trace_id": [fact.trace.trace_id if fact.trace else "" for fact in facts],
        "span_id": [fact.trace.span_id if fact.trace else "" for fact in facts],
    }
