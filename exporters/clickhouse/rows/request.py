"""Requests of an engine as columns."""

from collections.abc import Sequence

from otel_llm.exporters.clickhouse.rows.common import ENGINE, Columns, models, taken, wall_times
from otel_llm.facts.joined import JoinedRequest

_VALUES = {
    **ENGINE,
    "trace_id": "trace.trace_id",
    "span_id": "trace.span_id",
    "parent_span_id": "trace.parent_span_id",
    "tenant": "tenant.tenant",
    "tier": "tenant.tier",
    "attempt": "tenant.attempt",
    "request_index": "arrived.index",
    "request_id": "arrived.request_id",
    "api_request_id": "arrived.api_request_id",
    "operation": "arrived.operation",
    "prompt_tokens": "arrived.prompt_tokens",
    "max_tokens": "arrived.max_tokens",
    "sample_index": "arrived.sample_index",
    "sample_count": "arrived.sample_count",
    "lora": "arrived.lora",
    "outcome": "outcome",
    "error_type": "finished.error_type",
    "finish_reason": "finished.finish_reason",
    "cached_tokens": "finished.cached_tokens",
    "output_tokens": "finished.output_tokens",
    "recomputed_tokens": "finished.recomputed_tokens",
    "rejected_tokens": "finished.rejected_tokens",
    "discarded_tokens": "finished.discarded_tokens",
    "unscheduled_tokens": "finished.unscheduled_tokens",
    "delivered_tokens": "delivered_tokens",
    "preemptions": "finished.preemptions",
    "incomplete": "incomplete",
}
_TIMES = {
    "arrival": "arrived.arrival_ns",
    "queued": "finished.queued_ns",
    "scheduled": "finished.scheduled_ns",
    "first_token": "finished.first_token_ns",
    "first_output": "finished.first_output_ns",
    "last_token": "finished.last_token_ns",
    "finished": "finished.finished_ns",
}


def request_columns(facts: Sequence[JoinedRequest]) -> Columns:
    """Columns of `llm_requests`, one entry per request."""
    return {
        **taken(facts, _VALUES),
        **wall_times(facts, _TIMES),
        "model": models(facts, "arrived.model"),
    }
