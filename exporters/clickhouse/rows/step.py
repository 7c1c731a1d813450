"""Steps of an engine as columns, their batches as arrays. No loop here is over members."""

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import pyarrow as pa

from otel_llm.exporters.clickhouse.rows.common import ENGINE, Columns, taken, wall_times
from otel_llm.facts.joined import JoinedStep
from otel_llm.facts.step import PHASE_PREFILL, Numbers, packed

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
    phase = _members([batch.phase for batch in batches], np.uint8)
    tokens = _numbers([batch.tokens for batch in batches])
    results = [fact.done for fact in facts]
    in_prefill = np.where(phase.values == PHASE_PREFILL, tokens.values, 0)
    return {
        **taken(facts, _VALUES),
        **wall_times(facts, {"scheduled": "scheduled.schedule_ns"}),
        **_perhaps(facts),
        "prefill_tokens": tokens.sums(in_prefill),
        "decode_tokens": tokens.sums(tokens.values - in_prefill),
        "request_index": _numbers([batch.request_index for batch in batches]).lists(pa.uint64()),
        "phase": phase.lists(pa.uint8()),
        "tokens": tokens.lists(pa.uint32()),
        "context": _numbers([batch.context for batch in batches]).lists(pa.uint32()),
        "drafts": _numbers([batch.drafts for batch in batches]).lists(pa.uint32()),
        "emitted": _numbers([done.emitted if done else () for done in results]).lists(pa.uint32()),
        "accepted": _numbers([done.accepted if done else () for done in results]).lists(
            pa.uint32()
        ),
    }


class _Members:
    """Numbers of the members of all steps, one after another.

    Attributes:
        values: they.
    """

    def __init__(self, values: Any, counts: Sequence[int]) -> None:  # noqa: ANN401  NumPy array
        self.values = values
        self._ends = np.fromiter(accumulate(counts, initial=0), np.int32, len(counts) + 1)

    def sums(self, values: Any) -> pa.Array:  # noqa: ANN401  NumPy array
        """Values of members, added up by step."""
        upto = np.concatenate([[0], np.cumsum(values)])
        return pa.array(upto[self._ends[1:]] - upto[self._ends[:-1]])

    def lists(self, kind: pa.DataType) -> pa.Array:
        """A list for each step; raises where one of them does not fit."""
        return pa.ListArray.from_arrays(pa.array(self._ends), pa.array(self.values).cast(kind))


def _members(parts: Sequence[Any], kind: Any) -> _Members:  # noqa: ANN401  buffers, a NumPy type
    return _Members(np.frombuffer(bytearray().join(parts), kind), [len(part) for part in parts])


def _numbers(parts: Sequence[Numbers]) -> _Members:
    return _members([packed(part) for part in parts], np.int64)


def _perhaps(facts: Sequence[JoinedStep]) -> Columns:
    """What a step has only with a result, or only with a span."""
    return {
        "result": [fact.anchor.wall(fact.done.result_ns) if fact.done else None for fact in facts],
        "execute_ns": [fact.done.execute_ns if fact.done else None for fact in facts],
        "cudagraph_mode": [fact.done.cudagraph_mode if fact.done else "" for fact in facts],
        "trace_id": [fact.trace.trace_id if fact.trace else "" for fact in facts],
        "span_id": [fact.trace.span_id if fact.trace else "" for fact in facts],
    }
