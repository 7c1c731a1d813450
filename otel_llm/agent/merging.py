"""One request made of its halves: the core's, and that of the process that serves the API."""

from collections import Counter
from typing import Any

import msgspec

from otel_llm.agent.hygiene import ordered
from otel_llm.clock import Anchor, MonotonicNs
from otel_llm.facts import RequestArrived, RequestFinished
from otel_llm.facts.joined import JoinedDelivery, JoinedRequest


def merged(core: JoinedRequest, half: JoinedDelivery, breaches: Counter[str]) -> JoinedRequest:
    """Put the halves of a request together.

    The API server says when it arrived, when the first output was handled, what was delivered and
    how it ended for the caller; the core says the rest, and that it died.

    Args:
        core: what the engine's core knows.
        half: what the API server knows.
        breaches: counts stamps that run backwards.
    """
    told, end = half.delivered, core.finished
    arrival_ns = _arrival(core, half, breaches)
    changes: dict[str, Any] = {
        "finished_ns": max(end.finished_ns, _on_core_clock(core, half, told.finished_ns))
    }
    if told.first_output_ns is not None:
        changes["first_output_ns"] = _on_core_clock(core, half, told.first_output_ns)
    if core.outcome != "engine_died":
        failed = told.outcome == "failed"
        changes["outcome"], changes["finish_reason"] = told.outcome, told.finish_reason
        changes["error_type"] = (told.error_type or end.error_type) if failed else None
    arrived = _filled(core.arrived, half, arrival_ns)
    return msgspec.structs.replace(
        core,
        anchor=_anchor(core, half),
        outcome=core.outcome if core.outcome == "engine_died" else told.outcome,
        arrived=arrived,
        finished=ordered(arrived, msgspec.structs.replace(end, **changes), breaches),
        delivered_tokens=told.output_tokens,
    )


def core_alone(core: JoinedRequest) -> JoinedRequest:
    """A request whose API server never told its half."""
    return msgspec.structs.replace(core, incomplete=True)


def delivery_alone(half: JoinedDelivery, breaches: Counter[str]) -> JoinedRequest:
    """A request whose core never told its half. Its row is the API server's."""
    told = half.delivered
    arrived = _filled(_blank_arrival(half), half, told.arrival_ns)
    finished = RequestFinished(
        index=half.index,
        outcome=told.outcome,
        finish_reason=told.finish_reason,
        finished_ns=told.finished_ns,
        first_output_ns=told.first_output_ns,
        output_tokens=told.output_tokens,
        error_type=told.error_type,
    )
    return JoinedRequest(
        producer=half.producer,
        anchor=half.anchor,
        outcome=told.outcome,
        arrived=arrived,
        finished=ordered(arrived, finished, breaches),
        trace=half.trace,
        tenant=half.tenant,
        incomplete=True,
        delivered_tokens=told.output_tokens,
    )


def _arrival(core: JoinedRequest, half: JoinedDelivery, breaches: Counter[str]) -> MonotonicNs:
    """When the API server received the request, but not after what the core did for it.

    An API server may stamp arrivals by the wall clock, which may have been set since.
    """
    end = core.finished
    told = _on_core_clock(core, half, half.delivered.arrival_ns)
    stages = (end.queued_ns, end.scheduled_ns, end.first_token_ns, end.last_token_ns)
    earliest = min([told, *(stamp for stamp in stages if stamp is not None)])
    breaches["time"] += earliest < told
    return earliest


def _same_clock(core: JoinedRequest, half: JoinedDelivery) -> bool:
    ours, theirs = core.producer, half.producer
    return (ours.boot_id, ours.time_namespace) == (theirs.boot_id, theirs.time_namespace)


def _on_core_clock(core: JoinedRequest, half: JoinedDelivery, stamp: MonotonicNs) -> MonotonicNs:
    """A stamp of the API server by the core's clock; over the wall where they do not share one."""
    if _same_clock(core, half):
        return stamp
    return MonotonicNs(half.anchor.wall(stamp) - core.anchor.offset_ns)


def _anchor(core: JoinedRequest, half: JoinedDelivery) -> Anchor:
    """The core's, with both errors where stamps went over the wall."""
    if _same_clock(core, half):
        return core.anchor
    error_ns = core.anchor.error_ns + half.anchor.error_ns
    return msgspec.structs.replace(core.anchor, error_ns=error_ns)


def _filled(
    arrived: RequestArrived, half: JoinedDelivery, arrival_ns: MonotonicNs
) -> RequestArrived:
    """The core's view of an arrival; what it does not know is the API server's."""
    told = half.delivered
    return msgspec.structs.replace(
        arrived,
        arrival_ns=arrival_ns,
        api_request_id=arrived.api_request_id or told.api_request_id,
        operation=arrived.operation or told.operation,
        model=arrived.model or told.model,
        max_tokens=told.max_tokens if arrived.max_tokens is None else arrived.max_tokens,
        lora=arrived.lora or told.lora,
    )


def _blank_arrival(half: JoinedDelivery) -> RequestArrived:
    told = half.delivered
    return RequestArrived(
        index=half.index,
        request_id=told.request_id,
        api_request_id="",
        operation="",
        model="",
        arrival_ns=told.arrival_ns,
        prompt_tokens=told.prompt_tokens,
        sample_index=told.sample_index,
        sample_count=told.sample_count,
        traceparent=told.traceparent,
        tracestate=told.tracestate,
        frontend=half.producer.instance_id,
    )
