"""Where a request stands in a trace, and whose it is: read from the headers it came with."""

from collections import Counter

from otel_llm.context import TenantTag, parse_tenant, parse_traceparent
from otel_llm.facts import RequestArrived, RequestDelivered
from otel_llm.facts.joined import SpanIds
from otel_llm.spans.ids import is_sampled, trace_id


def identify(
    record: RequestArrived | RequestDelivered, root: SpanIds, breaches: Counter[str]
) -> tuple[SpanIds, TenantTag]:
    """Read the headers of a request.

    Args:
        record: the request.
        root: its span's ids in a trace of its own, from `rooted`.
        breaches: counts headers that cannot be read.

    Returns:
        The ids of its span, under the caller's if there is one, and the tenant.
    """
    parent = parse_traceparent(record.traceparent) if record.traceparent is not None else None
    if record.traceparent is not None and parent is None:
        breaches["traceparent"] += 1
    tag = parse_tenant(record.tracestate or "")
    if tag is None:
        breaches["tracestate"] += 1
        tag = TenantTag()
    if parent is None:
        return root, tag
    return SpanIds(parent.trace_id, root.span_id, parent.span_id, parent.sampled), tag


def rooted(instance_id: str, name: str, own: str, ratio: float) -> SpanIds:
    """Ids of a request whose caller sent no context; samples of one call share a trace.

    Args:
        instance_id: of the process that serves the API.
        name: what the call's samples share.
        own: id of the request's span.
        ratio: share of such traces that are sampled.
    """
    trace = trace_id(instance_id, "request", name)
    return SpanIds(trace, own, "", is_sampled(trace, ratio))
