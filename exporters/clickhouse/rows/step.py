"""Steps of an engine as columns, their batches as arrays. No loop here is over members."""

from array import array
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import pyarrow as pa

import otel_llm.exporters.clickhouse.rows._native as _native
from otel_llm.exporters.clickhouse.rows.attributes import Attribute, lists, whole_numbers
from otel_llm.exporters.clickhouse.rows.common import ENGINE, Columns, taken, wall_times
from otel_llm.facts.joined import JoinedStep, SpanIds
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
}
_COUNT = pa.uint32()


class _NoResult:
    """Stands for the result of a step that has none."""

    result_ns = None
    execute_ns = None
    cudagraph_mode = ""
    emitted: Numbers = ()
    accepted: Numbers = ()


_NO_RESULT = _NoResult()
_NO_SPAN = SpanIds("", "")


def step_columns(facts: Sequence[JoinedStep]) -> Columns:
    """Columns of `llm_steps`, one entry per step."""
    batches = [fact.scheduled for fact in facts]
    results: list[Any] = [fact.done or _NO_RESULT for fact in facts]
    spans = [fact.trace or _NO_SPAN for fact in facts]
    result = {"result": Attribute(results, "result_ns")}
    return {
        **taken(facts, _VALUES),
        **wall_times(facts, {"scheduled": "scheduled.schedule_ns"}, result),
        "execute_ns": Attribute(results, "execute_ns"),
        "cudagraph_mode": Attribute(results, "cudagraph_mode"),
        "trace_id": Attribute(spans, "trace_id"),
        "span_id": Attribute(spans, "span_id"),
        **_phases(batches),
        "request_index": _members([batch.request_index for batch in batches], pa.uint64()),
        "context": _members([batch.context for batch in batches]),
        "drafts": _members([batch.drafts for batch in batches]),
        "emitted": _members([result.emitted for result in results]),
        "accepted": _members([result.accepted for result in results]),
        "parts": _members([fact.parts for fact in facts]),
    }


def _members(parts: Sequence[Numbers], kind: pa.DataType = _COUNT) -> pa.Array:
    """A list for each step, of a number for each member."""
    return _summed(parts, kind)[0]


def _summed(parts: Sequence[Numbers], kind: pa.DataType = _COUNT) -> tuple[pa.Array, pa.Array]:
    """The same, and the sum of each list. Raises where a number does not fit."""
    values, ends, sums = _native.members(_bytes(parts), kind.bit_width // 8)
    return lists(ends, whole_numbers(kind, values)), whole_numbers(pa.int64(), sums)


def _bytes(parts: Sequence[Numbers]) -> list[bytes]:
    if not any(map(len, parts)):  # as drafts, most often
        return [b""] * len(parts)
    return [(part if type(part) is array else packed(part)).tobytes() for part in parts]


def _phases(batches: Sequence[StepScheduled]) -> Columns:
    """Tokens and the phases they are in, by member and added up."""
    phases = [batch.phase for batch in batches]
    ends = np.fromiter(accumulate(map(len, phases), initial=0), np.int32, len(phases) + 1)
    phase = np.frombuffer(b"".join(phases), np.uint8)
    tokens, sums = _summed([batch.tokens for batch in batches])
    if not np.array_equal(tokens.offsets, ends):  # sums would take in others' members
        raise ValueError("phase and tokens differ")
    prefill = _sums_at(np.flatnonzero(phase == PHASE_PREFILL), tokens.values.to_numpy(), ends)
    return {
        "prefill_tokens": pa.array(prefill),
        "decode_tokens": pa.array(sums.to_numpy() - prefill),
        "phase": lists(ends.tobytes(), pa.array(phase)),
        "tokens": tokens,
    }


def _sums_at(places: Any, values: Any, ends: Any) -> Any:  # noqa: ANN401  NumPy arrays
    """Values at some places, in their order, added up by step."""
    upto = np.concatenate([[0], np.cumsum(values[places], dtype=np.int64)])
    return np.diff(upto[np.searchsorted(places, ends)])
