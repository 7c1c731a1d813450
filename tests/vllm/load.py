"""What the tests send: lengths of the Azure trace, a number of calls in flight at once."""

import asyncio
import random
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import httpx
import msgspec

from otel_llm.context import TenantTag, TraceParent, format_traceparent, with_tenant
from otel_llm.demo import client
from otel_llm.demo.vllm.model import MODEL
from otel_llm.demo.watch import PhaseWatch
from otel_llm.demo.workload import TENANTS, GiveUp, PlannedCall, arrivals
from tests.contract.journals import Journals, Request
from tests.vllm.harness import Site

_SCALE = 4
_MAX_PROMPT, _MAX_OUTPUT = 500, 100
_LONG_PROMPT, _LONG_OUTPUT = 1500, 300
_SHARED = 96
IN_EVERY_PHASE: tuple[GiveUp, ...] = ("queue", "prefill", "decode")
TRIES = 10
"""A caller on a busy machine may be too late to leave in its phase; then another takes its turn."""
_TOLD_WITHIN_S = 60.0
_POLL_S = 0.05


def mixed(
    count: int, cancelled: float, seed: int = 1, phases: Sequence[GiveUp] = IN_EVERY_PHASE
) -> list[PlannedCall]:
    """Streamed calls, some of two samples, some with a shared prefix, some given up.

    Args:
        count: how many.
        cancelled: share of calls whose client gives up.
        seed: decides who shares, samples and gives up.
        phases: in which they give up, in turn.
    """
    rng = random.Random(seed)
    # Neither among the first nor among the last, who find an engine without a queue.
    quitters = rng.sample(range(count // 5, count * 3 // 4), round(count * cancelled))
    give_up = {number: phases[k % len(phases)] for k, number in enumerate(quitters)}
    return [
        _call(rng, number, row.prompt_tokens, row.output_tokens, give_up.get(number, "never"))
        for number, row in enumerate(arrivals(count))
    ]


def short(calls: Sequence[PlannedCall]) -> list[PlannedCall]:
    """The same calls with a quarter of the output, which nobody gives up."""
    return [
        msgspec.structs.replace(c, output_tokens=max(2, c.output_tokens // 4), give_up="never")
        for c in calls
    ]


def long(count: int) -> list[PlannedCall]:
    """Calls that come at once and go on for long."""
    tenant, tier = TENANTS[0]
    return [
        PlannedCall(
            number=1000 + number,
            at_s=0.0,
            prompt_tokens=40,
            shared_tokens=0,
            output_tokens=1500,
            samples=1,
            stream=True,
            chat=False,
            tenant=tenant,
            tier=tier,
        )
        for number in range(count)
    ]


def prompt_characters(call: PlannedCall) -> int:
    """Characters of the prompt as the model's template makes it; each is a token."""
    sent = client.body(call, MODEL)
    if not call.chat:
        return len(sent["prompt"])
    return len(f"user:{sent['messages'][0]['content']};assistant:")


def _call(rng: random.Random, number: int, prompt: int, output: int, leaves: GiveUp) -> PlannedCall:
    tenant, tier = rng.choice(TENANTS)
    length = min(_MAX_PROMPT, max(8, prompt // _SCALE))
    return PlannedCall(
        number=number,
        at_s=0.0,
        # Who gives up in a phase needs one that lasts.
        prompt_tokens=_LONG_PROMPT if leaves == "prefill" else length,
        shared_tokens=_SHARED if rng.random() < 0.4 and length > _SHARED else 0,
        output_tokens=_LONG_OUTPUT
        if leaves == "decode"
        else min(_MAX_OUTPUT, max(2, output // _SCALE)),
        samples=2 if rng.random() < 0.15 else 1,
        stream=True,
        chat=rng.random() < 0.5,
        tenant=tenant,
        tier=tier,
        give_up=leaves,
    )


class Posted(NamedTuple):
    """One call sent straight to vLLM, and answered.

    Attributes:
        trace_id: the trace that its caller opened.
        response_id: the API's id of the answer.
    """

    trace_id: str
    response_id: str


def post(site: Site, body: dict[str, object], path: str = "/v1/completions") -> Posted:
    """Send one call as a gateway would, with a trace context and a tenant; wait for its answer."""
    context = TraceParent(secrets.token_hex(16), secrets.token_hex(8), True)
    tenant, tier = TENANTS[0]
    headers = {
        "traceparent": format_traceparent(context),
        "tracestate": with_tenant("", TenantTag(tenant, tier, 1)),
    }
    answer = httpx.post(f"{site.url}{path}", json=body, headers=headers, timeout=60.0)
    assert answer.status_code == httpx.codes.OK, answer.text
    return Posted(context.trace_id, answer.json()["id"])


def drive(site: Site, calls: Sequence[PlannedCall], in_flight: int) -> list[client.Seen]:
    """Send all calls through the gateway, so many at once; returns what each client saw.

    Where a call is to be given up in a phase and its client was too late, the next one of up to
    TRIES does the same with another prompt, and what each of them saw is returned.
    """
    return asyncio.run(_drive(site, calls, in_flight))


def left_in(found: Sequence[Request]) -> GiveUp:
    """The phase in which the caller of these requests left; `never` if it waited for all of them.

    As `otel_llm.demo.complete.outcome`, from the journals.
    """
    if all(one.outcome == "finished" for one in found):
        return "never"
    if any(one.ended.first_token_ns is not None for one in found):
        return "decode"
    return "prefill" if any(one.parts for one in found) else "queue"


async def _drive(site: Site, calls: Sequence[PlannedCall], in_flight: int) -> list[client.Seen]:
    watch = PhaseWatch(site.journal_dir)
    seats = asyncio.Semaphore(in_flight)
    url = site.stack.gateway_url

    with _journals(site) as journals:
        async with httpx.AsyncClient(base_url=url, timeout=120.0) as http:

            async def one(call: PlannedCall) -> list[client.Seen]:
                async with seats:
                    return await _send(http, call, watch, journals)

            watching = asyncio.create_task(watch.run())
            try:
                seen = await asyncio.gather(*(one(call) for call in calls))
            finally:
                watching.cancel()
                await asyncio.wait([watching])
    return [each for tries in seen for each in tries]


async def _send(
    http: httpx.AsyncClient, call: PlannedCall, watch: PhaseWatch, journals: Journals
) -> list[client.Seen]:
    """Send a call; one that is to be given up, until its client has left in its phase."""
    seen = [await client.send(http, call, MODEL, watch)]
    while call.give_up != "never" and len(seen) < TRIES:
        if left_in(await _told(journals, seen[-1])) == call.give_up:
            break
        another = msgspec.structs.replace(call, number=call.number + 10_000 * len(seen))
        seen.append(await client.send(http, another, MODEL, watch))
    return seen


async def _told(journals: Journals, seen: client.Seen) -> list[Request]:
    """The requests of a call, once all of them are told to their end.

    Raises:
        AssertionError: they never were.
    """
    for _ in range(round(_TOLD_WITHIN_S / _POLL_S)):
        found = [one for one in journals.requests() if _is_of(one, seen.trace_id)]
        if found and all(one.whole for one in found):
            return found
        await asyncio.sleep(_POLL_S)
    message = f"the journals do not tell of the end of {seen.call}, whose client left"
    raise AssertionError(message)


def _is_of(request: Request, trace_id: str) -> bool:
    return trace_id in (request.arrived.traceparent or "")


@contextmanager
def _journals(site: Site) -> Iterator[Journals]:
    journals = Journals(site.journal_dir)
    try:
        yield journals
    finally:
        journals.close()
