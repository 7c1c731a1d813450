"""What arrived lately: calls, and engine requests that came without a gateway."""

from typing import TYPE_CHECKING

import msgspec

from otel_llm.clock import EpochNs
from otel_llm.query.joules import joules as joules_of
from otel_llm.query.ownership import owned_requests, serving_requests
from otel_llm.query.rows import Attempt, Call, Match, Request
from otel_llm.query.statements import ask
from otel_llm.query.tokens import Tokens, call_tokens

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which arrivals to list.

    Attributes:
        since_ns: not older than this, in wall nanoseconds.
        tenant, model: these alone; empty for all.
        slow: slowest first, in place of newest first.
        limit: at most so many.
    """

    since_ns: EpochNs
    tenant: str = ""
    model: str = ""
    slow: bool = False
    limit: int = 20


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A call as its caller and its engine saw it, in one line.

    Attributes:
        id: call id; the engine's request id where no call is known.
        kind: `call`, or `request` where no call is known.
        requests: engine requests of the attempt that served it.
        duration_s: as the caller saw it; the engine's where no call is known.
        queue_s: longest wait of its requests in the engine's queue; None if none was queued.
        energy_j: joules charged to its requests, those of failed attempts too; None if none was.
    """

    id: str
    kind: str
    trace_id: str
    arrival_ns: EpochNs
    tenant: str
    model: str
    outcome: str
    status_code: int | None
    error_class: str
    attempts: int
    requests: int
    preemptions: int
    tokens: Tokens
    duration_s: float
    ttft_caller_s: float | None
    ttft_engine_s: float | None
    queue_s: float | None
    energy_j: float | None


def recent(client: "Client", wanted: Filter) -> list[Listed]:
    """List arrivals, newest or slowest first.

    Raises:
        StoreError: the store refused a question.
    """
    found = ask(client, "recent", Match, **msgspec.structs.asdict(wanted))
    traces = sorted({match.trace_id for match in found})
    calls = ask(client, "calls", Call, traces=traces)
    attempts = ask(client, "attempts", Attempt, calls=[call.call_id for call in calls])
    requests = ask(client, "requests", Request, traces=traces)
    joules = {
        (one.instance_id, one.request_index): one.energy_j for one in joules_of(client, traces)
    }
    owned = owned_requests(calls, attempts, requests)
    by_id = {call.call_id: call for call in calls}
    by_key = {(one.instance_id, one.request_index): one for one in requests}
    tries: dict[str, list[Attempt]] = {}
    for attempt in attempts:
        tries.setdefault(attempt.call_id, []).append(attempt)
    return [
        _listed_request(by_key[match.instance_id, match.request_index], joules)
        if match.kind == "request"
        else _listed_call(
            by_id[match.call_id],
            serving_requests(tries.get(match.call_id, []), owned.get(match.call_id, [])),
            _energy(owned.get(match.call_id, []), joules),
        )
        for match in found
    ]


_Key = tuple[str, int]


def _energy(requests: list[Request], joules: dict[_Key, float]) -> float | None:
    """Of requests, as far as they were charged; None if none was."""
    known = [
        joules[key] for one in requests if (key := (one.instance_id, one.request_index)) in joules
    ]
    return sum(known) if known else None


def _listed_call(call: Call, serving: list[Request], energy_j: float | None) -> Listed:
    return Listed(
        id=call.call_id,
        kind="call",
        trace_id=call.trace_id,
        arrival_ns=call.arrival_ns,
        tenant=call.tenant,
        model=call.model,
        outcome=call.outcome,
        status_code=call.status_code,
        error_class=call.error_class,
        attempts=call.attempts,
        requests=len(serving),
        preemptions=sum(one.preemptions for one in serving),
        tokens=call_tokens(call, serving),
        duration_s=(call.finished_ns - call.arrival_ns) / 1e9,
        ttft_caller_s=_between(call.arrival_ns, call.first_content_ns),
        ttft_engine_s=min(_ttft_engine(serving), default=None),
        queue_s=max(_queue(serving), default=None),
        energy_j=energy_j,
    )


def _listed_request(request: Request, joules: dict[_Key, float]) -> Listed:
    return Listed(
        id=request.request_id,
        kind="request",
        trace_id=request.trace_id,
        arrival_ns=request.arrival_ns,
        tenant=request.tenant,
        model=request.model,
        outcome=request.outcome,
        status_code=None,
        error_class=request.error_type,
        attempts=0,
        requests=1,
        preemptions=request.preemptions,
        tokens=call_tokens(None, [request]),
        duration_s=(request.finished_ns - request.arrival_ns) / 1e9,
        ttft_caller_s=None,
        ttft_engine_s=min(_ttft_engine([request]), default=None),
        queue_s=max(_queue([request]), default=None),
        energy_j=_energy([request], joules),
    )


def _between(start: int | None, end: int | None) -> float | None:
    return None if start is None or end is None else (end - start) / 1e9


def _ttft_engine(requests: list[Request]) -> list[float]:
    times = (_between(one.arrival_ns, one.first_output_ns) for one in requests)
    return [time for time in times if time is not None]


def _queue(requests: list[Request]) -> list[float]:
    times = (_between(one.queued_ns, one.scheduled_ns) for one in requests)
    return [time for time in times if time is not None]
