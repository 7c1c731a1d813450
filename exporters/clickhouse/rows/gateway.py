"""Calls and attempts of a gateway as rows."""

from otel_llm.exporters.clickhouse.rows.common import (
    Row,
    clock_columns,
    producer_columns,
    wall_or_none,
)
from otel_llm.facts.joined import JoinedAttempt, JoinedCall


def call_row(fact: JoinedCall) -> Row:
    """A row of `llm_gateway_calls`."""
    call, anchor = fact.call, fact.anchor
    return {
        **producer_columns(fact.producer),
        "call_id": call.call_id,
        "trace_id": call.trace_id,
        "span_id": call.span_id,
        "parent_span_id": call.parent_span_id or "",
        "tenant": call.tenant,
        "tier": call.tier,
        "arrival": anchor.wall(call.arrival_ns),
        "first_content": wall_or_none(anchor, call.first_content_ns),
        "last_content": wall_or_none(anchor, call.last_content_ns),
        "finished": anchor.wall(call.finished_ns),
        "method": call.method,
        "route": call.route,
        "operation": call.operation,
        "model": call.model or "",
        "outcome": fact.outcome,
        "status_code": call.status_code,
        "error_class": call.error_class or "",
        "stream": call.stream,
        "samples": call.samples,
        "chunks": call.chunks,
        "inter_chunk_us": call.inter_chunk_us,
        "prompt_tokens": call.prompt_tokens,
        "cached_tokens": call.cached_tokens,
        "output_tokens": call.output_tokens,
        "attempts": call.attempts,
        "response_id": call.response_id or "",
        "request_bytes": call.request_bytes,
        "response_bytes": call.response_bytes,
        **clock_columns(fact.producer.boot_id, anchor),
    }


def attempt_row(fact: JoinedAttempt) -> Row:
    """A row of `llm_attempts`."""
    attempt, anchor = fact.attempt, fact.anchor
    return {
        **producer_columns(fact.producer),
        "call_id": attempt.call_id,
        "trace_id": attempt.trace_id,
        "span_id": attempt.span_id,
        "attempt": attempt.attempt,
        "upstream": attempt.upstream,
        "started": anchor.wall(attempt.started_ns),
        "first_byte": wall_or_none(anchor, attempt.first_byte_ns),
        "finished": anchor.wall(attempt.finished_ns),
        "outcome": attempt.outcome,
        "status_code": attempt.status_code,
        "error_class": attempt.error_class or "",
        "breaker": attempt.breaker,
        "backoff_ns": attempt.backoff_ns,
        **clock_columns(fact.producer.boot_id, anchor),
    }
