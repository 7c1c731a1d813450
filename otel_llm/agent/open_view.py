"""What is in flight, as the agent's page shows it."""

import heapq
from collections.abc import Iterator
from typing import Any, NamedTuple, TypeVar

from otel_llm.agent.engine_join import EngineJoin
from otel_llm.agent.follow import FollowedJournal
from otel_llm.agent.gateway_join import GatewayJoin
from otel_llm.agent.open_facts import OpenCall, OpenRequest
from otel_llm.agent.seats import Progress
from otel_llm.clock import MonotonicNs
from otel_llm.facts import PHASE_PREFILL, Producer

MAX_SHOWN = 1_000
"""Most requests and most calls shown; the totals count all."""

View = dict[str, Any]
Fact = TypeVar("Fact", "Seen", OpenCall)


class Seen(NamedTuple):
    """A request in flight, and how far its steps have brought it."""

    request: OpenRequest
    progress: Progress


def open_view(journals: list[FollowedJournal], now_ns: MonotonicNs) -> View:
    """Requests and calls in flight, oldest first.

    Args:
        journals: those being read.
        now_ns: monotonic nanoseconds of this host.
    """
    requests = [
        (_since(seen, now_ns), seen, journal.producer)
        for journal in journals
        if isinstance(journal.join, EngineJoin)
        for seen in _seen(journal.join)
    ]
    calls = [
        (call.started.arrival_ns, call, journal.producer)
        for journal in journals
        if isinstance(journal.join, GatewayJoin)
        for call in journal.join.calls
    ]
    return {
        "requests_open": len(requests),
        "calls_open": len(calls),
        "requests": [_request(*each, now_ns) for each in _oldest(requests)],
        "calls": [_call(*each, now_ns) for each in _oldest(calls)],
    }


def _oldest(
    found: list[tuple[MonotonicNs, Fact, Producer]],
) -> list[tuple[MonotonicNs, Fact, Producer]]:
    return heapq.nsmallest(MAX_SHOWN, found, key=lambda each: each[0])


def _seen(join: EngineJoin) -> Iterator[Seen]:
    return (Seen(request, join.requests.progress(request.index)) for request in join.requests)


def _since(seen: Seen, now_ns: MonotonicNs) -> MonotonicNs:
    if seen.request.arrived is not None:
        return seen.request.arrived.arrival_ns
    return now_ns if seen.progress.scheduled_ns is None else seen.progress.scheduled_ns


def _call(since_ns: MonotonicNs, call: OpenCall, producer: Producer, now_ns: MonotonicNs) -> View:
    return {
        "call_id": call.started.call_id,
        "trace_id": call.started.trace_id,
        "service": producer.service,
        "route": call.started.route,
        "tenant": call.started.tenant,
        "age_s": _age_s(since_ns, now_ns),
        "attempts_ended": call.attempts,
    }


def _request(since_ns: MonotonicNs, seen: Seen, producer: Producer, now_ns: MonotonicNs) -> View:
    request, progress = seen
    arrived = request.arrived
    return {
        "request_id": arrived.request_id if arrived else "",
        "request_index": request.index,
        "instance_id": producer.instance_id,
        "service": producer.service,
        "model": (arrived.model if arrived else "") or producer.model,
        "trace_id": request.trace.trace_id if request.trace else "",
        "tenant": request.tenant.tenant,
        "age_s": _age_s(since_ns, now_ns),
        "phase": _phase(progress),
        "prompt_tokens": arrived.prompt_tokens if arrived else None,
        "output_tokens": progress.output_tokens,
        "incomplete": request.incomplete or arrived is None,
    }


def _phase(progress: Progress) -> str:
    if progress.phase is None:
        return "queue"
    return "prefill" if progress.phase == PHASE_PREFILL else "decode"


def _age_s(since_ns: MonotonicNs, now_ns: MonotonicNs) -> float:
    return max(0, now_ns - since_ns) / 1e9
