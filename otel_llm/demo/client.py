"""The demo's clients: they send the planned calls through the gateway and note what they saw."""

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any, Literal

import httpx
import msgspec

from otel_llm.context import TraceParent, format_traceparent
from otel_llm.demo.watch import PhaseWatch
from otel_llm.demo.workload import PlannedCall

Ended = Literal["completed", "gave_up", "refused", "broken"]

DECODE_CHUNKS_BEFORE_GIVING_UP = 2
_CHAT_OVERHEAD = 20
_WORDS = (
    *("the", "queue", "batch", "step", "token", "cache", "kernel"),
    *("watt", "trace", "span", "prefill", "decode", "tenant", "call"),
)


class Seen(msgspec.Struct, frozen=True):
    """What one client saw, measured by itself and independent of every fact.

    Attributes:
        call: the planned call.
        trace_id: the trace the client opened.
        ended: `refused` is a 429 or 503, `broken` any other failure.
        status_code: HTTP status; None if no response began.
        characters: characters of content received. A token of the demo's models is one character.
        ttft_s: from sending the call to its first content, in seconds.
        duration_s: from sending the call to its end, in seconds.
        error: what broke it; empty if nothing did.
    """

    call: PlannedCall
    trace_id: str
    ended: Ended
    status_code: int | None
    characters: int
    ttft_s: float | None
    duration_s: float
    error: str = ""


class _Attempted:
    """Counts one call while it runs."""

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.status: int | None = None
        self.characters = 0
        self.chunks = 0
        self.ttft_s: float | None = None

    def content(self, text: str) -> None:
        """Note a piece of content."""
        if not text:
            return
        if self.ttft_s is None:
            self.ttft_s = time.monotonic() - self.started
        self.characters += len(text)
        self.chunks += 1


async def replay(
    calls: Sequence[PlannedCall],
    url: str,
    model: str,
    watch: PhaseWatch,
    on_end: Callable[[Seen], None],
) -> list[Seen]:
    """Send every call at its time and wait for all of them to end.

    Args:
        calls: what to send, in order of time.
        url: the gateway's base URL.
        model: model to ask for.
        watch: tells in which phase a request is.
        on_end: told of each call as it ends.
    """
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=64)
    async with httpx.AsyncClient(base_url=url, limits=limits, timeout=120.0) as client:
        watching = asyncio.create_task(watch.run())
        start = time.monotonic()

        async def at_its_time(call: PlannedCall) -> Seen:
            await asyncio.sleep(max(0.0, start + call.at_s - time.monotonic()))
            seen = await send(client, call, model, watch)
            on_end(seen)
            return seen

        try:
            return list(await asyncio.gather(*(at_its_time(call) for call in calls)))
        finally:
            watching.cancel()
            await asyncio.wait([watching])


async def send(client: httpx.AsyncClient, call: PlannedCall, model: str, watch: PhaseWatch) -> Seen:
    """Send one call, and give up on it as planned."""
    rng = random.Random(f"trace {call.number} {time.time_ns()}")  # noqa: S311  ids, not secrets
    context = TraceParent(f"{rng.getrandbits(128):032x}", f"{rng.getrandbits(64):016x}", True)
    headers = {
        "traceparent": format_traceparent(context),
        "x-otel-llm-tenant": call.tenant,
        "x-otel-llm-tier": call.tier,
    }
    attempted = _Attempted()
    error = ""
    try:
        running = _run(client, call, model, headers, attempted)
        ended = await _unless(running, watch.reached(context.trace_id, call.give_up), call)
    except httpx.HTTPError as failure:
        ended, error = "broken", repr(failure)
    return Seen(
        call=call,
        trace_id=context.trace_id,
        ended=ended,
        status_code=attempted.status,
        characters=attempted.characters,
        ttft_s=attempted.ttft_s,
        duration_s=time.monotonic() - attempted.started,
        error=error,
    )


async def _run(
    client: httpx.AsyncClient,
    call: PlannedCall,
    model: str,
    headers: dict[str, str],
    attempted: _Attempted,
) -> Ended:
    path = "/v1/chat/completions" if call.chat else "/v1/completions"
    async with client.stream("POST", path, json=body(call, model), headers=headers) as response:
        attempted.status = response.status_code
        if response.status_code in (429, 503):
            return "refused"
        if response.status_code != httpx.codes.OK:
            return "broken"
        return await _read(response, call, attempted)


async def _unless(
    running: Coroutine[Any, Any, Ended], phase_reached: asyncio.Event, call: PlannedCall
) -> Ended:
    """Wait for the call's end, or leave it once it is in the phase its client gives up in."""
    if call.give_up not in ("queue", "prefill"):
        return await running
    task = asyncio.create_task(running)
    reached = asyncio.create_task(phase_reached.wait())
    await asyncio.wait({task, reached}, return_when=asyncio.FIRST_COMPLETED)
    reached.cancel()
    if task.done():
        return task.result()
    task.cancel()
    await asyncio.wait({task})
    return "gave_up"


async def _read(response: httpx.Response, call: PlannedCall, attempted: _Attempted) -> Ended:
    if not call.stream:
        for choice in json.loads(await response.aread())["choices"]:
            attempted.content(_text(choice))
        return "completed"
    done = False
    async for event in _events(response):
        done = event is None
        if "error" in (event or {}):
            # Engines end a stream in order all the same.
            return "broken"
        for choice in (event or {}).get("choices", ()):
            attempted.content(_text(choice))
        if call.give_up == "decode" and attempted.chunks >= DECODE_CHUNKS_BEFORE_GIVING_UP:
            return "gave_up"
    return "completed" if done else "broken"


async def _events(response: httpx.Response) -> AsyncIterator[dict[str, Any] | None]:
    """Events of a stream; None is its end mark."""
    async for line in response.aiter_lines():
        if line.startswith("data: "):
            data = line.removeprefix("data: ")
            yield None if data == "[DONE]" else json.loads(data)


def _text(choice: dict[str, Any]) -> str:
    part = choice.get("delta") or choice.get("message") or choice
    return str(part.get("content") or part.get("text") or "")


def body(call: PlannedCall, model: str) -> dict[str, Any]:
    """The call's JSON body.

    It names no seed: vLLM 0.32 on a CPU dies of a seeded request whose prompt takes several steps.
    """
    common = {
        "model": model,
        "max_tokens": call.output_tokens,
        "ignore_eos": True,
        "n": call.samples,
        "stream": call.stream,
        "temperature": 0.8,
    }
    if call.chat:
        content = prompt(call, call.prompt_tokens - _CHAT_OVERHEAD)
        return {**common, "messages": [{"role": "user", "content": content}]}
    return {**common, "prompt": prompt(call, call.prompt_tokens - 1)}


def prompt(call: PlannedCall, length: int) -> str:
    """A prompt of `length` characters, its first `shared_tokens` common to all that share."""
    shared = _babble(random.Random("shared"), call.shared_tokens)  # noqa: S311
    own = _babble(random.Random(call.number), max(1, length - len(shared)))  # noqa: S311
    return (shared + own)[: max(1, length)]


def _babble(rng: random.Random, length: int) -> str:
    text = ""
    while len(text) < length:
        text += rng.choice(_WORDS) + " "
    return text[:length]
