"""The proxy before real servers: streams, retries, breakers, limits, and callers that leave."""

import asyncio
import json
import random
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from otel_llm.conventions import Metrics
from otel_llm.demo.gateway.app import GatewayConfig, create_app
from otel_llm.demo.gateway.breaker import BreakerPolicy
from otel_llm.demo.gateway.relay import RetryPolicy
from otel_llm.gateways.testing import FactList, serving
from otel_llm.settings import Settings

PATH = "/v1/chat/completions"
CONTENT = b'data: {"id":"c-1","choices":[{"delta":{"content":"x"}}]}\n\n'
DONE = b"data: [DONE]\n\n"
WHOLE = {"id": "c-1", "usage": {"prompt_tokens": 3, "completion_tokens": 2}}
Behave = Callable[[Request], Awaitable[Response]]


@dataclass
class Engine:
    """An upstream that behaves as told; notes what reached it.

    Attributes:
        behaviour: what it does with a call.
        seen: headers of each call.
        bodies: body of each call.
        left: how often the gateway left before the answer's end.
        go: lets a waiting answer continue.
    """

    behaviour: Behave | None = None
    seen: list[dict[str, str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    left: int = 0
    go: asyncio.Event = field(default_factory=asyncio.Event)

    def app(self) -> Starlette:
        """Its application."""

        async def answer(request: Request) -> Response:
            self.seen.append(dict(request.headers))
            self.bodies.append(await request.body())
            behaviour = self.behaviour or whole
            return await behaviour(request)

        return Starlette(
            routes=[
                Route(PATH, answer, methods=["POST"]),
                Route("/v1/completions", answer, methods=["POST"]),
                Route("/v1/models", answer),
            ]
        )

    async def gated_stream(self, _: Request) -> Response:
        """One chunk, then no more until `go`."""

        async def stream() -> AsyncIterator[bytes]:
            try:
                yield CONTENT
                await self.go.wait()
                yield CONTENT + DONE
            except asyncio.CancelledError:
                self.left += 1
                raise

        return StreamingResponse(stream(), media_type="text/event-stream")

    async def silent(self, request: Request) -> Response:
        """No answer until the gateway leaves."""
        while (await request.receive())["type"] != "http.disconnect":
            pass
        self.left += 1
        return Response(status_code=499)


async def whole(_: Request) -> Response:
    """A whole answer."""
    return JSONResponse(WHOLE)


def status(code: int) -> Behave:
    """An answer of this status."""

    async def answer(_: Request) -> Response:
        return JSONResponse({"error": {"message": "engine says no"}}, code)

    return answer


def dying(media_type: str) -> Behave:
    """An answer that breaks off after its first part."""

    async def answer(_: Request) -> Response:
        async def stream() -> AsyncIterator[bytes]:
            yield CONTENT if media_type == "text/event-stream" else b'{"id":'
            raise ConnectionResetError

        return StreamingResponse(stream(), media_type=media_type)

    return answer


def in_turn(*behaviours: Behave) -> Behave:
    """One behaviour per call; the last goes on."""
    left = list(behaviours)

    async def answer(request: Request) -> Response:
        return await (left.pop(0) if len(left) > 1 else left[0])(request)

    return answer


class Clock:
    """Seconds that pass only when told."""

    now_s = 0.0

    def __call__(self) -> float:
        """The present time."""
        return self.now_s


@dataclass
class Setup:
    """A gateway before its engines."""

    client: httpx.AsyncClient
    facts: FactList
    engines: list[Engine]
    clock: Clock

    async def post(self, **body: object) -> httpx.Response:
        """Send one call."""
        return await self.client.post(PATH, json={"model": "m", **body})

    async def metric(self, name: str, **labels: str) -> float:
        """A sample of the gateway's page; 0 if it is not there."""
        page = (await self.client.get("/metrics")).text
        for line in page.splitlines():
            found = line.startswith((name + "{", name + " "))
            if found and all(f'{key}="{value}"' in line for key, value in labels.items()):
                return float(line.rsplit(" ", 1)[1])
        return 0.0


FAST = RetryPolicy(attempts=3, base_s=0.001, cap_s=0.002)


@asynccontextmanager
async def setup(count: int = 1, closed: int = 0, **config: object) -> AsyncIterator[Setup]:
    """A gateway before `count` engines and `closed` ports where nobody listens."""
    facts, clock, engines = FactList(), Clock(), [Engine() for _ in range(count)]
    async with AsyncExitStack() as stack:
        urls = [await stack.enter_async_context(serving(each.app())) for each in engines]
        urls += [_closed_port() for _ in range(closed)]
        upstreams = {f"engine-{number}": url for number, url in enumerate(urls)}
        values = {"retry": FAST, **config}
        app = create_app(
            GatewayConfig(upstreams, **values),  # type: ignore[arg-type]
            Settings(trusted_proxies=("127.0.0.1/32",)),
            journal=facts,
            clock=clock,
        )
        url = await stack.enter_async_context(serving(app))
        client = httpx.AsyncClient(base_url=url, timeout=10)
        await stack.enter_async_context(client)
        yield Setup(client, facts, engines, clock)
        for engine in engines:
            engine.go.set()


def _closed_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


async def until(condition: Callable[[], object], limit_s: float = 5.0) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        await asyncio.sleep(0.005)


def check_facts(facts: FactList) -> None:
    """What holds for every call and its attempts."""
    assert sorted(c.call_id for c in facts.calls) == sorted(s.call_id for s in facts.started)
    for call in facts.calls:
        attempts = [each for each in facts.attempts if each.call_id == call.call_id]
        assert [each.attempt for each in attempts] == list(range(1, call.attempts + 1))
        for attempt in attempts:
            assert call.arrival_ns <= attempt.started_ns
            assert attempt.started_ns <= attempt.finished_ns <= call.finished_ns


async def test_whole_answer_passes() -> None:
    """An answer passes unchanged, with the tenant in the context that the engine gets."""
    async with setup() as s:
        traceparent = f"00-{'ab' * 16}-{'cd' * 8}-01"
        headers = {
            "traceparent": traceparent,
            "tracestate": "otelllm=t:evil",
            "x-otel-llm-tenant": "acme",
            "x-otel-llm-tier": "gold",
            "authorization": "Bearer k",
        }
        response = await s.client.post(PATH, json={"model": "m"}, headers=headers)
        assert response.json() == WHOLE
        (seen,) = s.engines[0].seen
        assert json.loads(s.engines[0].bodies[0]) == {"model": "m"}
        (call,), (attempt,) = s.facts.calls, s.facts.attempts
        assert seen["traceparent"] == f"00-{'ab' * 16}-{attempt.span_id}-01"
        assert seen["tracestate"] == "otelllm=t:acme;p:gold;a:1"
        assert seen["authorization"] == "Bearer k"
        assert "x-otel-llm-tenant" not in seen
        assert (call.outcome, call.model, call.tenant, call.output_tokens) == (
            "finished",
            "m",
            "acme",
            2,
        )
        assert (attempt.outcome, attempt.status_code, attempt.upstream) == (
            "finished",
            200,
            "engine-0",
        )
        check_facts(s.facts)


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
        await until(lambda: s.facts.calls)
        assert (s.facts.calls[0].outcome, s.facts.calls[0].chunks) == ("finished", 2)
        check_facts(s.facts)


async def test_large_bodies_pass() -> None:
    """A request of some megabytes reaches the engine whole; one past the limit is refused."""
    async with setup(max_body_bytes=4 << 20) as s:
        prompt = "x" * (3 << 20)
        assert (await s.post(prompt=prompt)).status_code == 200
        assert len(s.engines[0].bodies[0]) > len(prompt)
        assert s.facts.calls[0].model == "m"
        refused = await s.post(prompt=prompt * 2)
        assert refused.status_code == 413
        assert "4194304 bytes" in refused.json()["error"]["message"]
        assert (s.facts.calls[1].outcome, s.facts.calls[1].error_class) == ("failed", "http_413")
        assert len(s.engines[0].bodies) == 1


@pytest.mark.parametrize("code", [429, 502, 503])
async def test_retry_on_status(code: int) -> None:
    """A refusal before the first byte is tried elsewhere, after a wait that is recorded."""
    async with setup() as s:
        s.engines[0].behaviour = in_turn(status(code), status(code), whole)
        assert (await s.post()).json() == WHOLE
        assert [each.error_class for each in s.facts.attempts] == [f"http_{code}"] * 2 + [None]
        assert [each.backoff_ns > 0 for each in s.facts.attempts] == [False, True, True]
        (call,) = s.facts.calls
        assert (call.outcome, call.attempts, call.error_class) == ("finished", 3, None)
        states = [seen["tracestate"] for seen in s.engines[0].seen]
        assert [state.rpartition(":")[2] for state in states] == ["1", "2", "3"]
        check_facts(s.facts)


@pytest.mark.parametrize("code", [400, 404, 500, 504])
async def test_other_statuses_are_not_retried(code: int) -> None:
    """Any other status is the answer."""
    async with setup() as s:
        s.engines[0].behaviour = status(code)
        response = await s.post()
        assert response.status_code == code
        assert response.json()["error"]["message"] == "engine says no"
        assert len(s.facts.attempts) == 1
        assert (s.facts.calls[0].outcome, s.facts.calls[0].error_class) == (
            "failed",
            f"http_{code}",
        )


async def test_retries_end() -> None:
    """After the last try the caller gets the engine's own answer."""
    async with setup() as s:
        s.engines[0].behaviour = status(429)
        response = await s.post()
        assert response.status_code == 429
        assert response.json()["error"]["message"] == "engine says no"
        assert [each.outcome for each in s.facts.attempts] == ["failed"] * 3
        assert s.facts.calls[0].outcome == "failed"
        check_facts(s.facts)


async def test_retry_on_connect_error() -> None:
    """An engine that is not there is passed over for one that is."""
    async with setup(count=1, closed=1) as s:
        answers = [await s.post() for _ in range(12)]
        assert {answer.status_code for answer in answers} == {200}
        failed = [each for each in s.facts.attempts if each.outcome == "failed"]
        assert failed
        assert {each.error_class for each in failed} == {"upstream_connect"}
        assert {each.upstream for each in failed} == {"engine-1"}
        assert {call.outcome for call in s.facts.calls} == {"finished"}
        check_facts(s.facts)


async def test_nobody_there() -> None:
    """Without any engine the caller is told so, and the call fails for that reason."""
    async with setup(count=0, closed=2, breaker=BreakerPolicy(consecutive=99, least=99)) as s:
        response = await s.post()
        assert response.status_code == 502
        assert response.json()["error"]["code"] == "upstream_connect"
        call = s.facts.calls[0]
        assert (call.outcome, call.error_class, call.attempts) == ("failed", "upstream_connect", 3)
        check_facts(s.facts)


async def test_breaker_opens_sheds_and_closes() -> None:
    """Failures open the breaker, calls are shed meanwhile, a probe closes it; all of it shows."""
    policy = BreakerPolicy(consecutive=2, open_s=10.0)
    async with setup(retry=RetryPolicy(attempts=1), breaker=policy) as s:
        engine = s.engines[0]
        engine.behaviour = status(503)
        assert [(await s.post()).status_code for _ in range(2)] == [503, 503]
        shed = await s.post()
        assert (shed.status_code, shed.headers["retry-after"]) == (503, "1")
        assert shed.json()["error"]["code"] == "breaker_open"
        assert len(engine.seen) == 2
        call = s.facts.calls[-1]
        assert (call.outcome, call.error_class, call.attempts) == ("shed", "breaker_open", 0)
        assert await s.metric(Metrics.BREAKER_OPEN.name, upstream="engine-0") == 1
        assert (await s.client.get("/health")).status_code == 503
        engine.behaviour = whole
        s.clock.now_s += 10.0
        assert (await s.post()).status_code == 200
        assert s.facts.attempts[-1].breaker == "half_open"
        assert (await s.post()).status_code == 200
        assert s.facts.attempts[-1].breaker == "closed"
        assert await s.metric(Metrics.BREAKER_OPEN.name, upstream="engine-0") == 0
        for state in ("open", "half_open", "closed"):
            changes = Metrics.BREAKER_TRANSITIONS.name
            assert await s.metric(changes, upstream="engine-0", state=state) == 1
        health = await s.client.get("/health")
        assert (health.status_code, health.json()) == (200, {"upstreams": {"engine-0": "closed"}})


async def test_busy_is_not_broken() -> None:
    """An engine that answers 429 keeps its breaker closed."""
    policy = BreakerPolicy(consecutive=1)
    async with setup(retry=RetryPolicy(attempts=1), breaker=policy) as s:
        s.engines[0].behaviour = status(429)
        for _ in range(3):
            assert (await s.post()).status_code == 429
        assert s.facts.calls[-1].attempts == 1


async def test_limit_sheds() -> None:
    """Past the limit a call is refused with 429 and Retry-After; a place that frees is used."""
    async with setup(max_in_flight=1) as s:
        engine = s.engines[0]
        engine.behaviour = engine.gated_stream
        async with s.client.stream("POST", PATH, json={}) as response:
            await anext(response.aiter_raw())
            shed = await s.post()
            assert (shed.status_code, shed.headers["retry-after"]) == (429, "1")
            engine.go.set()
        call = s.facts.calls[0]
        assert (call.outcome, call.error_class, call.model) == ("shed", "max_in_flight", "m")
        await until(lambda: len(s.facts.calls) == 2)
        engine.behaviour = whole
        assert (await s.post()).status_code == 200
        labels = {"outcome": "shed", "status_code": "429"}
        assert await s.metric(Metrics.CALLS.name, **labels) == 1
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
        await until(lambda: engine.seen)
        if not streamed:
            caller.cancel()
        await until(caller.done)
        await until(lambda: engine.left == 1)
        await until(lambda: s.facts.calls)
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
        await until(lambda: s.engines[0].left == 1)
        check_facts(s.facts)


async def test_load_is_balanced() -> None:
    """Calls at the same time go to both engines."""
    async with setup(count=2) as s:
        for engine in s.engines:
            engine.behaviour = engine.gated_stream
        calls = [asyncio.create_task(s.post()) for _ in range(8)]
        await until(lambda: sum(len(engine.seen) for engine in s.engines) == 8)
        for engine in s.engines:
            engine.go.set()
        await asyncio.gather(*calls)
        assert [len(engine.seen) for engine in s.engines] == [4, 4]


async def test_models_are_the_engines() -> None:
    """`/v1/models` is forwarded, with its query."""
    async with setup() as s:
        assert (await s.client.get("/v1/models?limit=1")).json() == WHOLE
        (call,) = s.facts.calls
        assert (call.route, call.operation, call.attempts, call.chunks) == ("/v1/models", "", 1, 0)


def test_wait_is_jittered_and_bounded() -> None:
    """Waits stay within a limit that doubles up to the cap, and differ from each other."""
    policy, rng = RetryPolicy(base_s=0.1, cap_s=0.3), random.Random(7)
    for failed, limit in ((1, 0.1), (2, 0.2), (3, 0.3), (9, 0.3)):
        waits = [policy.wait_s(failed, rng) for _ in range(200)]
        assert 0 <= min(waits) < 0.1 * limit
        assert 0.9 * limit < max(waits) <= limit
