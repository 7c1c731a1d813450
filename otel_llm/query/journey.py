"""One journey: the caller's call, its attempts, the engine's requests, their steps and kernels."""

from typing import TYPE_CHECKING

import msgspec

from otel_llm.conventions import Attr, SpanName
from otel_llm.query.breakdown import Breakdown, break_down
from otel_llm.query.identify import journey_key
from otel_llm.query.joules import joules
from otel_llm.query.neighbours import Neighbours, neighbours
from otel_llm.query.notes import notes
from otel_llm.query.ownership import owned_requests, serving_requests
from otel_llm.query.rows import (
    Attempt,
    Call,
    ClassTime,
    Death,
    Joules,
    KernelTime,
    Match,
    NativeSpan,
    Request,
    Step,
)
from otel_llm.query.statements import ask
from otel_llm.query.tokens import Tokens, call_tokens

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

MARGIN_NS = 1_000_000_000
"""Steps and kernels are looked for this long before and after their requests, in nanoseconds."""


class FirstTokens(msgspec.Struct, frozen=True, kw_only=True):
    """The first token under its three names, in seconds. None if it never came.

    Attributes:
        ttft_caller_s: the gateway received the call → it sent the first content chunk.
        ttft_engine_s: the engine's API server received the first request → it handled the first
            output.
        core_first_token_s: likewise → the result of the step that made the token.
    """

    ttft_caller_s: float | None
    ttft_engine_s: float | None
    core_first_token_s: float | None


class EngineWork(msgspec.Struct, frozen=True, kw_only=True):
    """What one engine instance did for a journey's requests.

    Attributes:
        instance_id, service, host, engine, engine_version, model, dp_rank: which engine.
        indexes: `request_index` of the journey's requests there.
        steps: the steps they took part in, in order.
        neighbours: other requests in those steps.
        kernels: kernels of those steps, most time first. They served the whole batch.
        kernel_classes: all kernels of those steps by class, likewise; also of steps whose
            kernels are not kept one by one.
    """

    instance_id: str
    service: str
    host: str
    engine: str
    engine_version: str
    model: str
    dp_rank: int
    indexes: list[int]
    steps: list[Step]
    neighbours: list[Neighbours]
    kernels: list[KernelTime]
    kernel_classes: list[ClassTime]


class Journey(msgspec.Struct, frozen=True, kw_only=True):
    """Everything known about one call, or about engine requests that no call is known for.

    Attributes:
        call: the caller's view; None if no gateway recorded one.
        attempts: tries at an upstream, in order.
        requests: engine requests, by arrival.
        engines: the work of each engine instance that had one of the requests.
        deaths: processes of this journey that died.
        tokens: of the call: from its `usage`, else from its requests.
        first_tokens: the three names of the first token.
        breakdown: where the time went.
        energy: what its requests were charged; those without a metered device are not in it.
        notes: what a reader should know before trusting the numbers.
    """

    call: Call | None
    attempts: list[Attempt]
    requests: list[Request]
    engines: list[EngineWork]
    deaths: list[Death]
    tokens: Tokens
    first_tokens: FirstTokens
    breakdown: Breakdown
    energy: list[Joules]
    notes: list[str]


def load(client: "Client", match: Match, tenant: str = "") -> Journey:
    """Read the journey that a match leads to.

    Args:
        client: the store.
        match: from `identify` or `recent`.
        tenant: who asks; empty for an operator. A tenant learns how many others shared its steps,
            not who.

    Raises:
        StoreError: the store refused a question.
    """
    traces = [match.trace_id]
    calls = ask(client, "calls", Call, traces=traces)
    attempts = ask(client, "attempts", Attempt, calls=[one.call_id for one in calls])
    requests = ask(client, "requests", Request, traces=traces)
    owned = owned_requests(calls, attempts, requests)
    call = _call_of(match, calls, owned, tenant)
    if call is None:
        direct = [one for one in requests if journey_key(one) == journey_key(match)]
        return _assemble(client, None, [], direct, tenant)
    own = [attempt for attempt in attempts if attempt.call_id == call.call_id]
    return _assemble(client, call, own, owned.get(call.call_id, []), tenant)


def _call_of(
    match: Match, calls: list[Call], owned: dict[str, list[Request]], tenant: str
) -> Call | None:
    key = (match.instance_id, match.request_index)
    for call in calls:
        members = [(one.instance_id, one.request_index) for one in owned.get(call.call_id, [])]
        if (call.call_id == match.call_id or key in members) and tenant in ("", call.tenant):
            return call
    return None


def _assemble(
    client: "Client",
    call: Call | None,
    attempts: list[Attempt],
    requests: list[Request],
    tenant: str,
) -> Journey:
    engines = [_work(client, group, tenant) for group in _by_engine(requests)]
    writers = {engine.instance_id for engine in engines} | ({call.instance_id} if call else set())
    serving = serving_requests(attempts, requests)
    return Journey(
        call=call,
        attempts=attempts,
        requests=requests,
        engines=engines,
        deaths=ask(client, "deaths", Death, instances=sorted(writers)),
        tokens=call_tokens(call, serving),
        first_tokens=_first_tokens(call, serving),
        breakdown=break_down(call, attempts, serving),
        energy=_energy(client, requests),
        notes=notes(call, attempts, requests, engines, _native_spans(client, requests)),
    )


def _energy(client: "Client", requests: list[Request]) -> list[Joules]:
    """Of these requests alone: others may share their trace."""
    if not requests:
        return []
    mine = {(one.instance_id, one.request_index) for one in requests}
    told = joules(client, sorted({one.trace_id for one in requests}))
    return [one for one in told if (one.instance_id, one.request_index) in mine]


def _by_engine(requests: list[Request]) -> list[list[Request]]:
    groups: dict[tuple[str, int], list[Request]] = {}
    for request in requests:
        groups.setdefault((request.instance_id, request.dp_rank), []).append(request)
    return list(groups.values())


def _work(client: "Client", requests: list[Request], tenant: str) -> EngineWork:
    """Ask what one engine instance did for some of its requests."""
    one = requests[0]
    indexes = [request.request_index for request in requests]
    which: dict[str, object] = {
        "instance": one.instance_id,
        "dp_rank": one.dp_rank,
        "indexes": indexes,
        "from_ns": min(request.arrival_ns for request in requests) - MARGIN_NS,
        "to_ns": max(request.finished_ns for request in requests) + MARGIN_NS,
    }
    return EngineWork(
        instance_id=one.instance_id,
        service=one.service,
        host=one.host,
        engine=one.engine,
        engine_version=one.engine_version,
        model=one.model,
        dp_rank=one.dp_rank,
        indexes=indexes,
        steps=ask(client, "steps", Step, **which),
        neighbours=neighbours(client, which, tenant),
        kernels=ask(client, "kernels", KernelTime, **which),
        kernel_classes=ask(client, "step_classes", ClassTime, **which),
    )


def _native_spans(client: "Client", requests: list[Request]) -> list[NativeSpan]:
    if not requests:
        return []
    return ask(
        client,
        "native_spans",
        NativeSpan,
        span_name=SpanName.VLLM_REQUEST,
        attribute=Attr.VLLM_REQUEST_ID,
        traces=sorted({one.trace_id for one in requests}),
        requests=sorted({one.api_request_id for one in requests if one.api_request_id}),
        from_ns=min(one.arrival_ns for one in requests) - MARGIN_NS,
        to_ns=max(one.finished_ns for one in requests) + MARGIN_NS,
    )


def _first_tokens(call: Call | None, serving: list[Request]) -> FirstTokens:
    arrival = min((one.arrival_ns for one in serving), default=None)
    outputs = [one.first_output_ns for one in serving if one.first_output_ns is not None]
    cores = [one.first_token_ns for one in serving if one.first_token_ns is not None]
    return FirstTokens(
        ttft_caller_s=_seconds(call.arrival_ns, call.first_content_ns) if call else None,
        ttft_engine_s=_seconds(arrival, min(outputs, default=None)),
        core_first_token_s=_seconds(arrival, min(cores, default=None)),
    )


def _seconds(start: int | None, end: int | None) -> float | None:
    return None if start is None or end is None else (end - start) / 1e9
