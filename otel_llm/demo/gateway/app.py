"""The gateway as an application: routes, the limit on calls in flight, the metrics page."""

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from opentelemetry.trace import TracerProvider
from starlette.requests import ClientDisconnect
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from otel_llm.demo.gateway import replies
from otel_llm.demo.gateway.balancer import Balancer, Upstream
from otel_llm.demo.gateway.breaker import BreakerPolicy, CircuitBreaker, State
from otel_llm.demo.gateway.relay import Outgoing, Relay, RetryPolicy, unless_disconnected
from otel_llm.gateways import GatewayInstrumentation, current_call, instrument_gateway
from otel_llm.gateways.recorder import FactWriter
from otel_llm.settings import Settings

_log = logging.getLogger("otel_llm")

_PASSED_ON = ("accept", "authorization", "content-type", "x-request-id")


@dataclass(frozen=True)
class GatewayConfig:
    """What the gateway does.

    Attributes:
        upstreams: base URLs by name.
        max_in_flight: calls served at once; more are shed.
        max_body_bytes: longest request body.
        connect_s: time limit of a connection, in seconds.
        silence_s: longest wait for the next byte of an upstream, in seconds.
        retry: policy of retries.
        breaker: policy of the circuit breakers.
    """

    upstreams: Mapping[str, str]
    max_in_flight: int = 64
    max_body_bytes: int = 8 << 20
    connect_s: float = 2.0
    silence_s: float = 60.0
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    breaker: BreakerPolicy = field(default_factory=BreakerPolicy)


class Gateway:
    """The endpoints: `/v1/*` as an ASGI application, and health.

    Args:
        config: what to do.
        balancer: picks upstreams.
        rng: source of jitter.
    """

    def __init__(self, config: GatewayConfig, balancer: Balancer, rng: random.Random) -> None:
        timeout = httpx.Timeout(config.silence_s, connect=config.connect_s)
        # Engines close idle connections after 5 s; be first, so that no call meets a closed one.
        limits = httpx.Limits(max_connections=None, keepalive_expiry=2.0)
        self._client = httpx.AsyncClient(timeout=timeout, limits=limits, trust_env=False)
        self._relay = Relay(self._client, balancer, config.retry, rng)
        self._balancer = balancer
        self._config = config
        self._in_flight = 0

    async def close(self) -> None:
        """Close the connections to the upstreams."""
        await self._client.aclose()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward a call, or refuse it."""
        request = Request(scope, receive)
        try:
            body = await self._body(request)
        except ClientDisconnect:
            return
        if body is None:
            limit = self._config.max_body_bytes
            refusal = replies.error(413, f"The body is longer than {limit} bytes.", "body_too_long")
        elif self._in_flight >= self._config.max_in_flight:
            current_call(scope).shed("max_in_flight")
            refusal = replies.error(429, "Too many calls in flight.", "max_in_flight")
        else:
            await self._forward(_outgoing(request, body), scope, receive, send)
            return
        await refusal(scope, receive, send)

    async def health(self) -> JSONResponse:
        """200 while an upstream may be tried; the breakers' states."""
        states = {each.name: each.breaker.state for each in self._balancer.upstreams}
        usable = any(each.breaker.admits for each in self._balancer.upstreams)
        return JSONResponse({"upstreams": states}, 200 if usable else 503)

    async def _forward(
        self, outgoing: Outgoing, scope: Scope, receive: Receive, send: Send
    ) -> None:
        self._in_flight += 1
        try:
            work = self._relay.forward(current_call(scope), outgoing, send)
            await unless_disconnected(receive, work)
        finally:
            self._in_flight -= 1

    async def _body(self, request: Request) -> bytes | None:
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > self._config.max_body_bytes:
                return None
        return bytes(body)


def create_app(
    config: GatewayConfig,
    settings: Settings,
    *,
    tracer_provider: TracerProvider | None = None,
    journal: FactWriter | None = None,
    on_start: Callable[[], None] = lambda: None,
    on_stop: Callable[[], None] = lambda: None,
    clock: Callable[[], float] = time.monotonic,
) -> FastAPI:
    """The gateway, instrumented.

    Args:
        config: what it does.
        settings: of the instrumentation.
        tracer_provider: OpenTelemetry's global one if None.
        journal: where facts go; a journal in `journal_dir` if None.
        on_start: called when it can serve.
        on_stop: called after the last call, in a thread.
        clock: the breakers' clock, in seconds.
    """
    rng = random.Random()  # noqa: S311  balance, not secrets

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        on_start()
        yield
        await gateway.close()
        instrumented.undo()
        await asyncio.to_thread(on_stop)

    app = FastAPI(lifespan=lifespan, openapi_url=None)
    instrumented = instrument_gateway(
        app, settings, tracer_provider=tracer_provider, journal=journal
    )
    upstreams = [
        Upstream(name, url, CircuitBreaker(config.breaker, clock, _changed(name, instrumented)))
        for name, url in config.upstreams.items()
    ]
    gateway = Gateway(config, Balancer(upstreams, rng), rng)
    app.add_api_route("/health", gateway.health)
    app.router.routes += [
        Route("/v1/completions", gateway, methods=["POST"]),
        Route("/v1/chat/completions", gateway, methods=["POST"]),
        Route("/v1/models", gateway, methods=["GET"]),
        Route("/metrics", instrumented.metrics_page()),
    ]
    return app


def _changed(upstream: str, gateway: GatewayInstrumentation) -> Callable[[State], None]:
    def changed(state: State) -> None:
        gateway.metrics.breaker(upstream, state)
        _log.warning("breaker of %s: %s", upstream, state)

    gateway.metrics.breaker_known(upstream)
    return changed


def _outgoing(request: Request, body: bytes) -> Outgoing:
    headers = {name: request.headers[name] for name in _PASSED_ON if name in request.headers}
    # The middleware reads what passes; it cannot read compressed bodies.
    headers["accept-encoding"] = "identity"
    query = f"?{request.url.query}" if request.url.query else ""
    return Outgoing(request.method, request.url.path + query, headers, body)
