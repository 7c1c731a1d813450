"""Which ids a call and its attempts have, with an OpenTelemetry SDK or without."""

import secrets
from typing import NamedTuple

from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, TraceFlags

from otel_llm.context import TraceParent


class SpanIds(NamedTuple):
    """Ids of a span as a fact holds them, whether or not an SDK made the span.

    Attributes:
        trace_id: 32 hex digits.
        span_id: 16 hex digits.
        parent_span_id: 16 hex digits; None at a trace's root.
        sampled: what the next hop is told.
        tracestate: other parties' members that the SDK passes on; None if it made no span.
    """

    trace_id: str
    span_id: str
    parent_span_id: str | None
    sampled: bool
    tracestate: str | None = None

    def as_parent(self) -> Span:
        """A span to start children under."""
        flags = TraceFlags(TraceFlags.SAMPLED if self.sampled else TraceFlags.DEFAULT)
        return NonRecordingSpan(
            SpanContext(
                int(self.trace_id, 16), int(self.span_id, 16), is_remote=False, trace_flags=flags
            )
        )


def ids_of(span: Span, parent: TraceParent | None) -> SpanIds:
    """Ids of a span that was started under `parent`.

    Without an SDK the API hands the parent's context back as the new span: then the span gets an id
    of our own. A trace begun that way is marked sampled, for nobody has decided against it.
    """
    context = span.get_span_context()
    trace_id, span_id = f"{context.trace_id:032x}", f"{context.span_id:016x}"
    made = context.is_valid and not context.is_remote
    if made and (parent is None or span_id != parent.span_id):
        parent_id = parent.span_id if parent is not None and parent.trace_id == trace_id else None
        state = context.trace_state.to_header()
        return SpanIds(trace_id, span_id, parent_id, context.trace_flags.sampled, state)
    if parent is None:
        return SpanIds(secrets.token_hex(16), secrets.token_hex(8), None, sampled=True)
    return SpanIds(parent.trace_id, secrets.token_hex(8), parent.span_id, parent.sampled)
