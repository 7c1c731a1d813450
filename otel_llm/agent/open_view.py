"""What is in flight, as the agent's page shows it."""

from typing import Any

from otel_llm.agent.engine_join import EngineJoin
from otel_llm.agent.follow import FollowedJournal
from otel_llm.agent.gateway_join import GatewayJoin
from otel_llm.agent.open_facts import OpenRequest
from otel_llm.clock import MonotonicNs
from otel_llm.facts import PHASE_PREFILL, Producer

MAX_SHOWN = 1_000
"""Most requests and most calls shown; the totals count all."""

View = dict[str, Any]


def open_view(journals: list[FollowedJournal], now_ns: MonotonicNs) -> View:
    """Requests and calls in flight, oldest first.

    Args:
        journals: those being read.
        now_ns: monotonic nanoseconds of this host.
    """
    requests = [
        _request(request, journal.producer, now_ns)
        for journal in journals
        if isinstance(journal.join, EngineJoin)
        for request in journal.join.requests
    ]
    calls = [
        {
            "call_id": call.started.call_id,
            "trace_id": call.started.trace_id,
            "service": journal.producer.service,
            "route": call.started.route,
            "tenant": call.started.tenant,
            "age_s": _age_s(call.started.arrival_ns, now_ns),
            "attempts_ended": call.attempts,
        }
        for journal in journals
        if isinstance(journal.join, GatewayJoin)
        for call in journal.join.calls
    ]
    return {
        "requests_open": len(requests),
        "calls_open": len(calls),
        "requests": _oldest(requests),
        "calls": _oldest(calls),
    }


def _request(request: OpenRequest, producer: Producer, now_ns: MonotonicNs) -> View:
    arrived = request.arrived
    since = arrived.arrival_ns if arrived else request.scheduled_ns
    return {
        "request_id": arrived.request_id if arrived else "",
        "request_index": request.index,
        "instance_id": producer.instance_id,
        "service": producer.service,
        "model": (arrived.model if arrived else "") or producer.model,
        "trace_id": request.trace.trace_id if request.trace else "",
        "tenant": request.tenant.tenant,
        "age_s": _age_s(since if since is not None else now_ns, now_ns),
        "phase": _phase(request),
        "prompt_tokens": arrived.prompt_tokens if arrived else None,
        "output_tokens": request.output_tokens,
        "incomplete": request.incomplete or arrived is None,
    }


def _phase(request: OpenRequest) -> str:
    if request.phase is None:
        return "queue"
    return "prefill" if request.phase == PHASE_PREFILL else "decode"


def _age_s(since_ns: MonotonicNs, now_ns: MonotonicNs) -> float:
    return max(0, now_ns - since_ns) / 1e9


def _oldest(rows: list[View]) -> list[View]:
    return sorted(rows, key=lambda row: -row["age_s"])[:MAX_SHOWN]
