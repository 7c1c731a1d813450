"""Over a real socket: callers that leave at any moment, and clocks that nest."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

import httpx
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from otel_llm.facts.gateway import GatewayCall
from otel_llm.gateways import current_call, instrument_gateway
from otel_llm.gateways.testing import FactList, serving
from otel_llm.settings import Settings
from tests.waiting import eventually

CONTENT = b'data: {"choices":[{"delta":{"content":"x"}}]}\n\n'
PATH = "/v1/chat/completions"


def _app(facts: FactList, answer: Callable[[Request], Response], **options: object) -> Starlette:
    async def chat(request: Request) -> Response:
        await request.body()
        return answer(request)

    app = Starlette(routes=[Route(PATH, chat, methods=["POST"])])
    provider = options.get("provider")
    assert provider is None or isinstance(provider, TracerProvider)
    instrument_gateway(
        app,
        Settings(trusted_proxies=("127.0.0.1/32",)),
        tracer_provider=provider,
        journal=facts,
    )
    return app


async def _endless() -> AsyncIterator[bytes]:
    while True:
        yield CONTENT
        await asyncio.sleep(0.005)


async def test_caller_leaves_mid_stream(
    facts: FactList, provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    """A caller that leaves inside a stream cancels the call; its span says so too."""

    def answer(request: Request) -> Response:
        async def stream() -> AsyncIterator[bytes]:
            async with current_call(request).attempt("engine-a") as attempt:
                attempt.responded(200)
                async for chunk in _endless():
                    attempt.first_byte()
                    yield chunk

        return StreamingResponse(stream(), media_type="text/event-stream")

    async with serving(_app(facts, answer, provider=provider)) as url:
        async with (
            httpx.AsyncClient(base_url=url) as client,
            client.stream("POST", PATH, json={"model": "m", "stream": True}) as response,
        ):
            async for chunk in response.aiter_raw():
                assert chunk
                break
        await eventually(lambda: facts.calls)
    (call,), (attempt,) = facts.calls, facts.attempts
    assert (call.outcome, call.error_class) == ("cancelled", "client_disconnect")
    assert call.chunks >= 1
    assert (attempt.outcome, attempt.error_class) == ("cancelled", "client_disconnect")
    server = next(s for s in exporter.get_finished_spans() if s.name == f"POST {PATH}")
    assert server.attributes is not None
    assert server.attributes["otel_llm.outcome"] == "cancelled"
    assert server.attributes["error.type"] == "client_disconnect"


async def test_caller_leaves_before_the_answer(facts: FactList) -> None:
    """An application that listens for the disconnect ends the call as cancelled, with no status."""

    def answer(request: Request) -> Response:
        class Wait(Response):
            async def __call__(self, *_: object) -> None:
                while (await request.receive())["type"] != "http.disconnect":
                    pass

        return Wait()

    async with serving(_app(facts, answer)) as url:
        async with httpx.AsyncClient(base_url=url) as client:
            caller = asyncio.create_task(client.post(PATH, json={}))
            await eventually(lambda: facts.started)
            caller.cancel()
            with suppress(asyncio.CancelledError):
                await caller
        await eventually(lambda: facts.calls)
    (call,) = facts.calls
    assert (call.outcome, call.error_class, call.status_code) == (
        "cancelled",
        "client_disconnect",
        None,
    )


@pytest.mark.parametrize("leave_after_s", [0.0, 0.01, 0.03])
async def test_each_call_ends_once(facts: FactList, leave_after_s: float) -> None:
    """Many callers leaving at many moments: as many ends as beginnings, one each."""

    async def stream() -> AsyncIterator[bytes]:
        for _ in range(8):
            yield CONTENT
            await asyncio.sleep(0.004)

    def answer(_: Request) -> Response:
        return StreamingResponse(stream(), media_type="text/event-stream")

    async with serving(_app(facts, answer)) as url:

        async def caller(number: int) -> None:
            async with httpx.AsyncClient(base_url=url) as client:
                with suppress(asyncio.TimeoutError):
                    timeout = leave_after_s + number * 0.004
                    await asyncio.wait_for(client.post(PATH, json={}), timeout)

        await asyncio.gather(*(caller(number) for number in range(10)))
        await eventually(lambda: len(facts.calls) == len(facts.started))
    ended = [call.call_id for call in facts.calls]
    assert len(ended) == len(set(ended)) == len(facts.started)
    assert {call.outcome for call in facts.calls} <= {"finished", "cancelled"}


async def test_times_nest_in_the_callers_own(facts: FactList) -> None:
    """TTFT_caller is never longer than what the caller measured itself."""

    def answer(_: Request) -> Response:
        async def stream() -> AsyncIterator[bytes]:
            for _ in range(3):
                await asyncio.sleep(0.02)
                yield CONTENT

        return StreamingResponse(stream(), media_type="text/event-stream")

    async with (
        serving(_app(facts, answer)) as url,
        httpx.AsyncClient(base_url=url) as client,
    ):
        before_ns = time.monotonic_ns()
        async with client.stream("POST", PATH, json={"stream": True}) as response:
            first_ns = 0
            async for chunk in response.aiter_raw():
                first_ns = first_ns or (time.monotonic_ns() if chunk else 0)
        after_ns = time.monotonic_ns()
        await eventually(lambda: facts.calls)
    call: GatewayCall = facts.calls[0]
    assert call.first_content_ns is not None
    assert before_ns <= call.arrival_ns
    assert call.first_content_ns <= first_ns <= after_ns
    assert call.first_content_ns - call.arrival_ns >= 15_000_000
    assert len(call.inter_chunk_us) == 2
    assert min(call.inter_chunk_us) >= 10_000


async def test_tenant_by_the_real_peer(facts: FactList) -> None:
    """The peer's address is the socket's, whatever X-Forwarded-For says."""

    def answer(_: Request) -> Response:
        return Response(b"{}", media_type="application/json")

    async with serving(_app(facts, answer)) as url, httpx.AsyncClient(base_url=url) as client:
        tenant = {"x-otel-llm-tenant": "acme"}
        await client.post(PATH, headers=tenant)
        await client.post(PATH, headers={**tenant, "x-forwarded-for": "203.0.113.9"})
    assert [call.tenant for call in facts.calls] == ["acme", "acme"]


async def test_a_call_is_kept_apart_from_the_one_before_on_its_connection(
    facts: FactList, provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    """The server begins a pipelined call inside of the one before; its trace is its caller's."""
    traces = ["a1" * 16, "b2" * 16, "c3" * 16]

    def answer(_: Request) -> Response:
        return Response(b"{}", media_type="application/json")

    async with serving(_app(facts, answer, provider=provider)) as url:
        host, port = url.removeprefix("http://").split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        for trace in traces:
            lines = [f"POST {PATH} HTTP/1.1", "host: gateway", "content-length: 2"]
            lines += [f"traceparent: 00-{trace}-{trace[:16]}-01", "", "{}"]
            writer.write("\r\n".join(lines).encode())
        await eventually(lambda: len(facts.calls) == len(traces))
        writer.close()
    assert [call.trace_id for call in facts.calls] == traces
    assert [call.parent_span_id for call in facts.calls] == [trace[:16] for trace in traces]
    parents = [s.parent for s in exporter.get_finished_spans()]
    assert [f"{p.span_id:016x}" for p in parents if p] == [trace[:16] for trace in traces]
