"""Ids of spans that an SDK made, and of those it did not."""

import re

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import (
    INVALID_SPAN,
    NonRecordingSpan,
    Span,
    SpanContext,
    TraceFlags,
    set_span_in_context,
)

from otel_llm.context import TraceParent
from otel_llm.gateways.ids import ids_of

PARENT = TraceParent("ab" * 16, "cd" * 8, sampled=True)


def _remote(parent: TraceParent) -> Span:
    """What the API alone hands back as a new span: the parent's own context."""
    ids = int(parent.trace_id, 16), int(parent.span_id, 16)
    return NonRecordingSpan(SpanContext(*ids, is_remote=True, trace_flags=TraceFlags(1)))


@pytest.mark.parametrize("span", [INVALID_SPAN, _remote(PARENT)])
@pytest.mark.parametrize("parent", [None, PARENT])
def test_without_sdk(span: Span, parent: TraceParent | None) -> None:
    """No span of an SDK: an id of our own, in the caller's trace if there is one."""
    ids = ids_of(span, parent)
    assert re.fullmatch("[0-9a-f]{32}", ids.trace_id)
    assert re.fullmatch("[0-9a-f]{16}", ids.span_id)
    assert ids.span_id != PARENT.span_id
    assert ids.tracestate is None
    if parent is not None:
        assert (ids.trace_id, ids.parent_span_id) == (PARENT.trace_id, PARENT.span_id)
    else:
        assert (ids.trace_id == PARENT.trace_id, ids.parent_span_id) == (False, None)


@pytest.mark.parametrize("sampled", [True, False])
def test_callers_decision_is_kept(sampled: bool) -> None:
    """Without an SDK the caller's sampling decision goes on; without a caller it is yes."""
    assert ids_of(INVALID_SPAN, PARENT._replace(sampled=sampled)).sampled is sampled
    assert ids_of(INVALID_SPAN, None).sampled


def test_children_of_an_sdks_span(provider: TracerProvider) -> None:
    """Spans started under `as_parent` are children in the same trace, with an SDK."""
    own = ids_of(INVALID_SPAN, None)
    child = provider.get_tracer("t").start_span("s", set_span_in_context(own.as_parent()))
    ids = ids_of(child, TraceParent(own.trace_id, own.span_id, own.sampled))
    assert (ids.trace_id, ids.parent_span_id) == (own.trace_id, own.span_id)
    assert ids.span_id == f"{child.get_span_context().span_id:016x}"
    assert ids.tracestate == ""


def test_another_trace_is_no_parent(provider: TracerProvider) -> None:
    """A span that an SDK started in another trace has no parent in the caller's."""
    span = provider.get_tracer("t").start_span("s")
    assert ids_of(span, PARENT).parent_span_id is None
