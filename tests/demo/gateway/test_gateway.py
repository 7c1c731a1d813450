"""The proxy before real servers: bodies, retries, breakers and limits."""

import asyncio
import json
import random

import pytest

from otel_llm.conventions import Metrics
from otel_llm.demo.gateway.breaker import BreakerPolicy
from otel_llm.demo.gateway.relay import RetryPolicy
from tests.demo.gateway.harness import (
    PATH,
    WHOLE,
    check_facts,
    in_turn,
    setup,
    status,
    whole,
)
from tests.waiting import eventually


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
        s.engines[0].behaviour = in_turn(status(503), status(429), whole)
        await s.post()
        s.clock.now_s += 60.0
        # Nor does a busy probe prove that an engine works again.
        for state in ("half_open", "closed"):
            await s.post()
            health = await s.client.get("/health")
            assert health.json() == {"upstreams": {"engine-0": state}}


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
        await eventually(lambda: len(s.facts.calls) == 2)
        engine.behaviour = whole
        assert (await s.post()).status_code == 200
        labels = {"outcome": "shed", "status_code": "429"}
        assert await s.metric(Metrics.CALLS.name, **labels) == 1
        check_facts(s.facts)


async def test_load_is_balanced() -> None:
    """Calls at the same time go to both engines."""
    async with setup(count=2) as s:
        for engine in s.engines:
            engine.behaviour = engine.gated_stream
        calls = [asyncio.create_task(s.post()) for _ in range(8)]
        await eventually(lambda: sum(len(engine.seen) for engine in s.engines) == 8)
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
