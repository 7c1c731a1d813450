"""A step's span, in a trace of its own, with links to the requests it served."""

import functools

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from otel_llm.conventions import Attr, SpanName
from otel_llm.facts.joined import JoinedStep, SpanIds
from otel_llm.spans.common import LOCAL, OK, Attributes, OurSpan, failed, pairs
from otel_llm.spans.ids import is_sampled, span_id, trace_id


@functools.lru_cache(maxsize=256)  # a step's schedule and its kernels ask for the same
def step_ids(instance_id: str, seq: int, ratio: float) -> SpanIds | None:
    """Ids of a step's span, or None if the step gets none.

    Args:
        instance_id: the engine's.
        seq: number of the step; 0 stands for kernels outside any step and gets none.
        ratio: share of steps that get a span.
    """
    trace = trace_id(instance_id, "step", seq)
    if not seq or not is_sampled(trace, ratio):
        return None
    return SpanIds(trace, span_id(instance_id, "step", seq))


def step_spans(fact: JoinedStep) -> list[OurSpan]:
    """A step as a span. Empty if it is not sampled."""
    if fact.trace is None:
        return []
    start = fact.anchor.wall(fact.scheduled.schedule_ns)
    span = Span(
        trace_id=bytes.fromhex(fact.trace.trace_id),
        span_id=bytes.fromhex(fact.trace.span_id),
        name=SpanName.STEP,
        attributes=pairs(_attributes(fact)),
        links=map(_link, fact.links),
        kind=Span.SPAN_KIND_INTERNAL,
        status=failed("engine_died") if fact.status == "in_flight" else OK,
        start_time_unix_nano=start,
        end_time_unix_nano=max(start, fact.anchor.wall(fact.ended_ns)),
        flags=LOCAL,
    )
    return [OurSpan(fact.producer, span)]


def _link(ids: SpanIds) -> Span.Link:
    trace_id, span_id = bytes.fromhex(ids.trace_id), bytes.fromhex(ids.span_id)
    return Span.Link(trace_id=trace_id, span_id=span_id, flags=LOCAL)


def _attributes(fact: JoinedStep) -> Attributes:
    step = fact.scheduled
    prefill, decode = fact.tokens_by_phase
    known: dict[str, str | int] = {
        Attr.INSTANCE_ID: fact.producer.instance_id,
        Attr.DP_RANK: fact.producer.dp_rank,
        Attr.STEP_SEQ: step.seq,
        Attr.STEP_BATCH_SIZE: len(step.request_index),
        Attr.STEP_PREFILL_TOKENS: prefill,
        Attr.STEP_DECODE_TOKENS: decode,
        Attr.STEP_RUNNING: step.running,
        Attr.STEP_WAITING: step.waiting,
        Attr.STEP_LINKS_DROPPED: fact.links_dropped,
        Attr.CLOCK_ERROR: fact.anchor.error_ns,
    }
    if step.drafts:
        known[Attr.STEP_DRAFT_TOKENS] = sum(step.drafts)
    if fact.done is not None and fact.done.accepted:
        known[Attr.STEP_ACCEPTED_TOKENS] = sum(fact.done.accepted)
    if fact.done is not None and fact.done.cudagraph_mode:
        known[Attr.STEP_CUDAGRAPH_MODE] = fact.done.cudagraph_mode
    if fact.status == "in_flight":
        known[Attr.ERROR_TYPE] = "engine_died"
    return known
