"""The middleware: sees every message of every call, and changes none of them."""

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from opentelemetry import context, trace
from starlette.applications import Starlette
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from otel_llm.context import TraceParent, parse_traceparent, with_tenant
from otel_llm.gateways.call import Arrival, Call
from otel_llm.gateways.metrics import GatewayMetrics
from otel_llm.gateways.recorder import Recorder
from otel_llm.gateways.routes import route_template
from otel_llm.gateways.shield import shield
from otel_llm.gateways.tenants import TenantRule

SCOPE_KEY = "otel_llm.call"


class GatewayMiddleware:
    """Outermost layer of an application: begins each call, watches it, and ends it.

    It stands outside of the OpenTelemetry middleware, so that it sees what the server sees;
    `SpanBinder` stands inside and tells it the server span.

    Args:
        app: the layers within.
        host: the application whose routes name a call.
        recorder: takes the facts.
        tenants: names each call's tenant.
        exclude: paths that are no calls, such as `/metrics`.
    """

    def __init__(
        self,
        app: ASGIApp,
        host: Starlette,
        recorder: Recorder,
        tenants: TenantRule,
        exclude: frozenset[str],
    ) -> None:
        self.app = app
        self._host = host
        self._recorder = recorder
        self._tenants = tenants
        self._exclude = exclude
        self._begin_guard = recorder.guard("begin")
        self._guard = recorder.guard("message")
        self._end_guard = recorder.guard("end")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection; only HTTP calls that are not excluded are observed."""
        call = None
        if self._is_call(scope):
            with self._begin_guard:
                call, scope = self._begin(scope)
        if call is None:
            await self.app(scope, receive, send)
            return
        try:
            with _apart():
                await self.app(scope, self._receive(call, receive), self._send(call, send))
        except BaseException as error:
            with self._end_guard:
                call.end(error)
            raise
        with self._end_guard:
            call.end(None)

    def _is_call(self, scope: Scope) -> bool:
        """Whether to observe it. An outer application may have begun the call already."""
        return (
            self._recorder.enabled
            and scope["type"] == "http"
            and scope["path"].rstrip("/") not in self._exclude
            and SCOPE_KEY not in scope
        )

    def _begin(self, scope: Scope) -> tuple[Call, Scope]:
        arrival_ns = self._recorder.clock.monotonic_ns()
        parent, tracestate = _caller_context(scope, self._recorder.metrics)
        arrival = Arrival(
            arrival_ns=arrival_ns,
            method=scope["method"],
            route=route_template(self._host, scope),
            tag=self._tenants.tag(scope),
            parent=parent,
            tracestate=tracestate,
        )
        call = Call(self._recorder, arrival)
        return call, {**scope, "headers": _own_context(scope, arrival), SCOPE_KEY: call}

    def _receive(self, call: Call, receive: Receive) -> Receive:
        guard = self._guard

        async def observed_receive() -> Message:
            message = await receive()
            with guard:
                call.received(message)
            return message

        return observed_receive

    def _send(self, call: Call, send: Send) -> Send:
        guard, clock = self._guard, self._recorder.clock

        async def observed_send(message: Message) -> None:
            sent_ns = clock.monotonic_ns()
            try:
                await send(message)
            except BaseException as error:
                with guard:
                    call.send_failed(error)
                raise
            with guard:
                call.sent(message, sent_ns)

        return observed_send


_serving: ContextVar[bool] = ContextVar("otel_llm_serving", default=False)


@contextmanager
def _apart() -> Iterator[None]:
    """Keep a call apart from the one before it on its connection.

    uvicorn begins a pipelined call inside of the one before, and asyncio hands on the context in
    which reading was resumed. OpenTelemetry would take the other call's span for this one's parent,
    and the caller's trace would be lost.
    """
    token = context.attach(context.Context()) if _serving.get() else None
    mark = _serving.set(True)
    try:
        yield
    finally:
        _serving.reset(mark)
        if token is not None:
            context.detach(token)


class SpanBinder:
    """Innermost of our layers, inside the server span: tells the call whose span it is.

    It also ends a call that the application leaves unfinished while the span is still open, and
    keeps what the caller sent out of the span.

    Args:
        app: the layers within.
    """

    def __init__(self, app: ASGIApp, recorder: Recorder) -> None:
        self.app = app
        self._guard = recorder.guard("span")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        with self._guard:
            shield(trace.get_current_span())
        call = scope.get(SCOPE_KEY)
        if not isinstance(call, Call):
            await self.app(scope, receive, send)
            return
        with self._guard:
            call.bind(trace.get_current_span())
        try:
            await self.app(scope, receive, send)
        except BaseException as error:
            with self._guard:
                call.left(error)
            raise
        with self._guard:
            call.left(None)


def current_call(request: HTTPConnection | Scope) -> Call:
    """The call being served.

    Where the middleware is not in place, the call that is returned works and leaves no fact, so
    that a host needs no second path.

    Args:
        request: the request, or its ASGI scope.
    """
    scope = request.scope if isinstance(request, HTTPConnection) else request
    call = scope.get(SCOPE_KEY)
    if not isinstance(call, Call):
        call = scope[SCOPE_KEY] = _unobserved(scope)
    return call


@functools.cache
def _nowhere() -> Recorder:
    return Recorder(None, GatewayMetrics())


def _unobserved(scope: Scope) -> Call:
    recorder = _nowhere()
    parent, tracestate = _caller_context(scope, recorder.metrics)
    return Call(recorder, Arrival(parent=parent, tracestate=tracestate))


def _caller_context(scope: Scope, metrics: GatewayMetrics) -> tuple[TraceParent | None, str]:
    """The caller's traceparent and tracestate. Without a valid first, no second."""
    sent = [value for name, value in scope["headers"] if name == b"traceparent"]
    if not sent:
        return None, ""
    parent = parse_traceparent(sent[0].decode("latin-1")) if len(sent) == 1 else None
    if parent is None:
        metrics.refused("traceparent")
        return None, ""
    states = [value.decode("latin-1") for name, value in scope["headers"] if name == b"tracestate"]
    return parent, _sendable(",".join(states))


def _sendable(tracestate: str) -> str:
    """The members that may stand in a header."""
    members = (member.strip() for member in tracestate.split(","))
    return ",".join(each for each in members if each.isascii() and each.isprintable())


def _own_context(scope: Scope, arrival: Arrival) -> list[tuple[bytes, bytes]]:
    """The call's headers, with our tracestate member in place of whatever the caller claimed.

    So the server span, and whatever else the host sends on by itself, carries the right tenant. A
    traceparent that we refuse goes too: SDK and facts must agree on the trace.
    """
    ours = {b"tracestate"} if arrival.parent is not None else {b"tracestate", b"traceparent"}
    headers = [(name, value) for name, value in scope["headers"] if name not in ours]
    if arrival.parent is not None:
        tracestate = with_tenant(arrival.tracestate, arrival.tag)
        headers.append((b"tracestate", tracestate.encode("ascii")))
    return headers
