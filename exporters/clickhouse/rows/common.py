"""Columns that several tables share."""

from otel_llm.clock import Anchor, EpochNs, MonotonicNs
from otel_llm.facts import Producer
from otel_llm.facts.joined import SpanIds

Row = dict[str, object]
"""One row: column name to value. Times are nanoseconds since the epoch."""

_MAX_ERROR = (1 << 32) - 1


def producer_columns(producer: Producer) -> Row:
    """Who wrote the fact."""
    return {
        "instance_id": producer.instance_id,
        "service": producer.service,
        "host": producer.host,
    }


def engine_columns(producer: Producer, model: str) -> Row:
    """Who wrote the fact, and which software and model it runs."""
    return {
        **producer_columns(producer),
        "engine": producer.engine,
        "engine_version": producer.engine_version,
        "model": model or producer.model,
        "dp_rank": producer.dp_rank,
    }


def clock_columns(boot_id: str, anchor: Anchor) -> Row:
    """How the row's times were made; subtract the offset to get monotonic stamps back."""
    return {
        "boot_id": boot_id,
        "clock_offset_ns": anchor.offset_ns,
        "clock_error_ns": min(anchor.error_ns, _MAX_ERROR),
    }


def trace_columns(trace: SpanIds) -> Row:
    """Where the fact stands in a trace."""
    return {
        "trace_id": trace.trace_id,
        "span_id": trace.span_id,
        "parent_span_id": trace.parent_span_id,
    }


def wall_or_none(anchor: Anchor, stamp: MonotonicNs | None) -> EpochNs | None:
    """Convert a stamp that may be absent."""
    return None if stamp is None else anchor.wall(stamp)
