"""A gateway before engines that behave as told, all on real sockets."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from otel_llm.demo.gateway.app import GatewayConfig, create_app
from otel_llm.demo.gateway.relay import RetryPolicy
from otel_llm.gateways.testing import FactList, serving
from otel_llm.settings import Settings
from tests.waiting import PATIENCE_S

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
        urls += [stack.enter_context(_closed_port()) for _ in range(closed)]
        upstreams = {f"engine-{number}": url for number, url in enumerate(urls)}
        values = {"retry": FAST, **config}
        app = create_app(
            GatewayConfig(upstreams, **values),  # type: ignore[arg-type]
            Settings(trusted_proxies=("127.0.0.1/32",)),
            journal=facts,
            clock=clock,
        )
        url = await stack.enter_async_context(serving(app))
        client = httpx.AsyncClient(base_url=url, timeout=PATIENCE_S)
        await stack.enter_async_context(client)
        yield Setup(client, facts, engines, clock)
        for engine in engines:
            engine.go.set()


@contextmanager
def _closed_port() -> Iterator[str]:
    with socket.socket() as bound:  # nobody else gets the port, and nobody listens
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


def check_facts(facts: FactList) -> None:
    """What holds for every call and its attempts."""
    assert sorted(c.call_id for c in facts.calls) == sorted(s.call_id for s in facts.started)
    for call in facts.calls:
        attempts = [each for each in facts.attempts if each.call_id == call.call_id]
        assert [each.attempt for each in attempts] == list(range(1, call.attempts + 1))
        for attempt in attempts:
            assert call.arrival_ns <= attempt.started_ns
            assert attempt.started_ns <= attempt.finished_ns <= call.finished_ns
