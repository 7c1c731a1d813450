"""What the tests send: lengths of the Azure trace, a number of calls in flight at once."""

import asyncio
import random
import secrets
from collections.abc import Sequence
from typing import NamedTuple

import httpx
import msgspec

from otel_llm.context import TenantTag, TraceParent, format_traceparent, with_tenant
from otel_llm.demo import client
from otel_llm.demo.vllm.model import MODEL
from otel_llm.demo.watch import PhaseWatch
from otel_llm.demo.workload import TENANTS, GiveUp, PlannedCall, arrivals
from tests.vllm.harness import Site

_SCALE = 4
_MAX_PROMPT, _MAX_OUTPUT = 500, 100
_LONG_PROMPT, _LONG_OUTPUT = 1500, 300
_SHARED = 96


def mixed(count: int, cancelled: float, seed: int = 1) -> list[PlannedCall]:
    """Streamed calls, some of two samples, some with a shared prefix, some given up.

    Args:
        count: how many.
        cancelled: share of calls whose client gives up, in each phase of a request.
        seed: decides who shares, samples and gives up.
    """
    rng = random.Random(seed)
    quitting: list[GiveUp] = ["queue", "prefill", "decode"]
    quitters = rng.sample(range(count), round(count * cancelled))
    give_up = {number: quitting[k % 3] for k, number in enumerate(quitters)}
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
    """Send all calls through the gateway, so many at once; returns what each client saw."""
    return asyncio.run(_drive(site, calls, in_flight))


async def _drive(site: Site, calls: Sequence[PlannedCall], in_flight: int) -> list[client.Seen]:
    watch = PhaseWatch(site.journal_dir)
    seats = asyncio.Semaphore(in_flight)
    url = site.stack.gateway_url

    async with httpx.AsyncClient(base_url=url, timeout=120.0) as http:

        async def one(call: PlannedCall) -> client.Seen:
            async with seats:
                return await client.send(http, call, MODEL, watch)

        watching = asyncio.create_task(watch.run())
        try:
            return list(await asyncio.gather(*(one(call) for call in calls)))
        finally:
            watching.cancel()
            await asyncio.wait([watching])
