"""Requests of an engine as rows."""

from otel_llm.exporters.clickhouse.rows.common import (
    Row,
    clock_columns,
    engine_columns,
    trace_columns,
    wall_or_none,
)
from otel_llm.facts.joined import JoinedRequest


def request_row(fact: JoinedRequest) -> Row:
    """A row of `llm_requests`."""
    return {
        **engine_columns(fact.producer, fact.arrived.model),
        **trace_columns(fact.trace),
        "tenant": fact.tenant.tenant,
        "tier": fact.tenant.tier,
        "attempt": fact.tenant.attempt,
        **_arrival(fact),
        **_end(fact),
        "incomplete": fact.incomplete,
        **clock_columns(fact.producer.boot_id, fact.anchor),
    }


def _arrival(fact: JoinedRequest) -> Row:
    arrived = fact.arrived
    return {
        "request_index": arrived.index,
        "request_id": arrived.request_id,
        "api_request_id": arrived.api_request_id,
        "operation": arrived.operation,
        "arrival": fact.anchor.wall(arrived.arrival_ns),
        "prompt_tokens": arrived.prompt_tokens,
        "max_tokens": arrived.max_tokens,
        "sample_index": arrived.sample_index,
        "sample_count": arrived.sample_count,
        "lora": arrived.lora,
    }


def _end(fact: JoinedRequest) -> Row:
    finished, anchor = fact.finished, fact.anchor
    return {
        "queued": wall_or_none(anchor, finished.queued_ns),
        "scheduled": wall_or_none(anchor, finished.scheduled_ns),
        "first_token": wall_or_none(anchor, finished.first_token_ns),
        "first_output": wall_or_none(anchor, finished.first_output_ns),
        "last_token": wall_or_none(anchor, finished.last_token_ns),
        "finished": anchor.wall(finished.finished_ns),
        "outcome": fact.outcome,
        "finish_reason": finished.finish_reason,
        "error_type": finished.error_type or "",
        "cached_tokens": finished.cached_tokens,
        "output_tokens": finished.output_tokens,
        "recomputed_tokens": finished.recomputed_tokens,
        "rejected_tokens": finished.rejected_tokens,
        "discarded_tokens": finished.discarded_tokens,
        "unscheduled_tokens": finished.unscheduled_tokens,
        "delivered_tokens": fact.delivered_tokens,
        "preemptions": finished.preemptions,
    }
