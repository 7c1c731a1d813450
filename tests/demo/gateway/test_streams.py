"""Streams, engines that are lost inside an answer, and callers that leave."""

import asyncio
import json

import httpx
import pytest

from otel_llm.demo.gateway.breaker import BreakerPolicy
from tests.demo.gateway.harness import (
    CONTENT,
    DONE,
    PATH,
    check_facts,
    dying,
    setup,
    whole,
)
from tests.waiting import eventually


async def test_stream_is_not_held_back() -> None:
    """A chunk reaches the caller while the engine still works on the next."""
    async with setup() as s:
        engine = s.engines[0]
        engine.behaviour = engine.gated_stream
        async with s.client.stream("POST", PATH, json={"stream": True}) as response:
            parts = response.aiter_raw()
            assert await anext(parts) == CONTENT
            assert not engine.go.is_set()
            engine.go.set()
            rest = b"".join([part async for part in parts])
        assert rest == CONTENT + DONE
        assert response.headers["content-type"].startswith("text/event-stream")
        await eventually(lambda: s.facts.calls)
        assert (s.facts.calls[0].outcome, s.facts.calls[0].chunks) == ("finished", 2)
        check_facts(s.facts)


async def leave_after(client: httpx.AsyncClient, parts: int) -> None:
    """Send a call and close the connection after so many parts of the answer."""
    async with client.stream("POST", PATH, json={}) as response:
        received = response.aiter_raw()
        for _ in range(parts):
            await anext(received)


@pytest.mark.parametrize("streamed", [True, False])
async def test_caller_leaves(streamed: bool) -> None:
    """A caller that leaves, before the answer or inside it, cancels the call at the engine."""
    async with setup() as s:
        engine = s.engines[0]
        engine.behaviour = engine.gated_stream if streamed else engine.silent
        caller = asyncio.create_task(leave_after(s.client, 1 if streamed else 0))
        await eventually(lambda: engine.seen)
        if not streamed:
            caller.cancel()
        await eventually(caller.done)
        await eventually(lambda: engine.left == 1)
        await eventually(lambda: s.facts.calls)
        (call,), (attempt,) = s.facts.calls, s.facts.attempts
        assert (call.outcome, call.error_class) == ("cancelled", "client_disconnect")
        assert (attempt.outcome, attempt.error_class) == ("cancelled", "client_disconnect")
        assert call.status_code == attempt.status_code == (200 if streamed else None)
        check_facts(s.facts)
        # Its place among the calls in flight is free again.
        engine.behaviour = whole
        assert (await s.post()).status_code == 200


async def test_stream_dies() -> None:
    """An engine lost inside a stream: the caller gets an error event and no end mark."""
    async with setup(breaker=BreakerPolicy(consecutive=1)) as s:
        s.engines[0].behaviour = dying("text/event-stream")
        response = await s.post(stream=True)
        assert response.status_code == 200
        first, last = response.content[: len(CONTENT)], response.content[len(CONTENT) :]
        assert first == CONTENT
        event = json.loads(last.removeprefix(b"data: "))
        assert event["error"]["code"] == "upstream_disconnect"
        (call,), (attempt,) = s.facts.calls, s.facts.attempts
        assert (call.outcome, call.error_class) == ("failed", "upstream_disconnect")
        assert (attempt.outcome, attempt.error_class) == ("failed", "upstream_disconnect")
        assert call.first_content_ns is not None
        assert (await s.client.get("/health")).json() == {"upstreams": {"engine-0": "open"}}
        check_facts(s.facts)


async def test_whole_answer_dies() -> None:
    """An engine lost inside a whole answer: the caller's connection breaks, not a short body."""
    async with setup() as s:
        s.engines[0].behaviour = dying("application/json")
        with pytest.raises(httpx.RemoteProtocolError):
            await s.post()
        (call,), (attempt,) = s.facts.calls, s.facts.attempts
        assert (call.outcome, call.error_class) == ("failed", "upstream_disconnect")
        assert attempt.outcome == "failed"
        check_facts(s.facts)


async def test_silent_engine_times_out() -> None:
    """An engine that says nothing for too long is given up, once: 504."""
    async with setup(silence_s=0.2) as s:
        s.engines[0].behaviour = s.engines[0].silent
        response = await s.post()
        assert (response.status_code, response.json()["error"]["code"]) == (504, "timeout")
        (call,), (attempt,) = s.facts.calls, s.facts.attempts
        assert (call.outcome, call.error_class, attempt.error_class) == (
            "failed",
            "timeout",
            "timeout",
        )
        await eventually(lambda: s.engines[0].left == 1)
        check_facts(s.facts)
