"""The request's span, and in it queue, prefill and decode.

A phase ends where the next begins, or with the request if it got no further. Where the API server
is a process of its own, intake before the queue and delivery after the last token are its. Steps
are not in it: a step serves many requests and links to them.
"""

from collections.abc import Iterator

from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from otel_llm.clock import MonotonicNs
from otel_llm.conventions import Attr, EventName, SpanName
from otel_llm.facts.energy import RequestJoules
from otel_llm.facts.joined import JoinedRequest
from otel_llm.spans.common import LOCAL, OK, REMOTE, Attributes, OurSpan, child, failed, pairs
from otel_llm.spans.ids import span_id


def request_spans(fact: JoinedRequest) -> list[OurSpan]:
    """A request as a tree of spans. Empty if it is not sampled."""
    if not fact.trace.sampled:
        return []
    return [_request(fact), *_phases(fact)]


def _request(fact: JoinedRequest) -> OurSpan:
    trace = fact.trace
    start = fact.anchor.wall(fact.arrived.arrival_ns)
    span = Span(
        trace_id=bytes.fromhex(trace.trace_id),
        span_id=bytes.fromhex(trace.span_id),
        parent_span_id=bytes.fromhex(trace.parent_span_id),
        name=SpanName.REQUEST,
        attributes=pairs({**_arrival(fact), **_end(fact)}),
        events=[_resumed(fact, index) for index in range(len(fact.resumed))],
        kind=Span.SPAN_KIND_SERVER,
        status=_status(fact),
        start_time_unix_nano=start,
        end_time_unix_nano=max(start, fact.anchor.wall(fact.finished.finished_ns)),
        flags=REMOTE if trace.parent_span_id else LOCAL,
    )
    return OurSpan(fact.producer, span)


def _phases(fact: JoinedRequest) -> Iterator[OurSpan]:
    if fact.producer.kind == "frontend":  # of such a request no core has told its phases
        return
    end = fact.finished
    finished = end.finished_ns
    queued = fact.arrived.arrival_ns if end.queued_ns is None else end.queued_ns
    if fact.delivered_tokens is not None and end.queued_ns is not None:
        yield _phase(fact, SpanName.INTAKE, fact.arrived.arrival_ns, end.queued_ns)
    yield _phase(fact, SpanName.QUEUE, queued, _first(end.scheduled_ns, finished))
    if end.scheduled_ns is not None:
        prefilled = _first(end.first_token_ns, finished)
        yield _phase(fact, SpanName.PREFILL, end.scheduled_ns, prefilled)
    if end.first_token_ns is not None:
        decoded = _first(end.last_token_ns, finished) if fact.outcome == "finished" else finished
        yield _phase(fact, SpanName.DECODE, end.first_token_ns, decoded)
        if fact.delivered_tokens is not None and fact.outcome == "finished":
            yield _phase(fact, SpanName.DELIVERY, decoded, finished)


def _first(stamp: MonotonicNs | None, otherwise: MonotonicNs) -> MonotonicNs:
    return otherwise if stamp is None else stamp


def _phase(fact: JoinedRequest, name: str, start: MonotonicNs, end: MonotonicNs) -> OurSpan:
    own = span_id(fact.producer.instance_id, "request", fact.arrived.index, name)
    interval = (fact.anchor.wall(start), fact.anchor.wall(end))
    return child(fact.trace, own, fact.producer, name, interval)


def _arrival(fact: JoinedRequest) -> Attributes:
    arrived, tag, producer = fact.arrived, fact.tenant, fact.producer
    known: dict[str, str | int] = {
        Attr.OPERATION: arrived.operation,
        Attr.PROVIDER: producer.engine,
        Attr.REQUEST_MODEL: arrived.model or producer.model,
        Attr.RESPONSE_ID: arrived.api_request_id,
        Attr.INPUT_TOKENS: arrived.prompt_tokens,
        Attr.TENANT: tag.tenant,
        Attr.INSTANCE_ID: producer.instance_id,
        Attr.DP_RANK: producer.dp_rank,
        Attr.REQUEST_ID: arrived.request_id,
        Attr.REQUEST_INDEX: arrived.index,
        Attr.SAMPLE_INDEX: arrived.sample_index,
        Attr.CLOCK_ERROR: fact.anchor.error_ns,
    }
    if arrived.max_tokens is not None:
        known[Attr.REQUEST_MAX_TOKENS] = arrived.max_tokens
    if arrived.lora:
        known[Attr.LORA] = arrived.lora
    if arrived.sample_count != 1:
        known[Attr.CHOICE_COUNT] = arrived.sample_count
    if tag.tier:
        known[Attr.TIER] = tag.tier
    if tag.attempt:
        known[Attr.ATTEMPT] = tag.attempt
    return known


def _end(fact: JoinedRequest) -> Attributes:
    end, arrival_ns = fact.finished, fact.arrived.arrival_ns
    known: dict[str, str | int | float | bool | list[str]] = {
        Attr.OUTCOME: fact.outcome,
        Attr.OUTPUT_TOKENS: end.output_tokens,
        Attr.CACHED_TOKENS: end.cached_tokens,
        Attr.PREEMPTIONS: end.preemptions,
        Attr.RECOMPUTED_TOKENS: end.recomputed_tokens,
        Attr.REJECTED_TOKENS: end.rejected_tokens,
        Attr.DISCARDED_TOKENS: end.discarded_tokens,
        Attr.UNSCHEDULED_TOKENS: end.unscheduled_tokens,
    }
    if fact.delivered_tokens is not None:
        known[Attr.DELIVERED_TOKENS] = fact.delivered_tokens
    if end.finish_reason:
        known[Attr.FINISH_REASONS] = [end.finish_reason]
    if end.scheduled_ns is not None and end.queued_ns is not None:
        known[Attr.QUEUE_TIME] = (end.scheduled_ns - end.queued_ns) / 1e9
    if end.first_output_ns is not None:
        known[Attr.TTFT_ENGINE] = (end.first_output_ns - arrival_ns) / 1e9
    if fact.energy is not None:
        known |= _energy(fact.energy, end.output_tokens)
    if fact.incomplete:
        known[Attr.INCOMPLETE] = True
    if _has_failed(fact):
        known[Attr.ERROR_TYPE] = _error_type(fact)
    return known


def _energy(joules: RequestJoules, output_tokens: int) -> dict[str, str | float | bool]:
    """What is known when the span is made; what comes later is in `llm_request_energy` alone."""
    known: dict[str, str | float | bool] = {
        Attr.ENERGY_TOTAL: joules.total_mj / 1000,
        Attr.ENERGY_PREFILL: joules.prefill_mj / 1000,
        Attr.ENERGY_DECODE: joules.decode_mj / 1000,
        Attr.ENERGY_METHOD: joules.method,
        Attr.ENERGY_SHARING: joules.sharing,
        Attr.ENERGY_SCOPE: joules.scope,
    }
    if output_tokens:
        known[Attr.ENERGY_PER_OUTPUT] = joules.total_mj / 1000 / output_tokens
    if joules.total_mj:
        known[Attr.ENERGY_ERROR] = joules.error_mj / joules.total_mj
    if joules.incomplete:
        known[Attr.ENERGY_INCOMPLETE] = True
    return known


def _has_failed(fact: JoinedRequest) -> bool:
    return fact.outcome in {"failed", "engine_died"}


def _error_type(fact: JoinedRequest) -> str:
    return fact.finished.error_type or fact.outcome


def _status(fact: JoinedRequest) -> Status:
    return failed(_error_type(fact)) if _has_failed(fact) else OK


def _resumed(fact: JoinedRequest, index: int) -> Span.Event:
    resumed = fact.resumed[index]
    told = {Attr.STEP_SEQ: resumed.step_seq, Attr.CONTEXT_TOKENS: resumed.context}
    at = fact.anchor.wall(resumed.at_ns)
    return Span.Event(name=EventName.RESUMED, attributes=pairs(told), time_unix_nano=at)
