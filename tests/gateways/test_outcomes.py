"""Whatever server and application do, a call leaves one fact, and the host sees no difference.

The layers run here without a framework: an application that follows a script, and a server that
disconnects or refuses a message at any point.
"""

import asyncio
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.types import Message, Receive, Scope, Send

from otel_llm.facts.gateway import GatewayCall
from otel_llm.gateways.metrics import GatewayMetrics
from otel_llm.gateways.middleware import GatewayMiddleware, SpanBinder, current_call
from otel_llm.gateways.recorder import Recorder
from otel_llm.gateways.tenants import TenantRule
from otel_llm.gateways.testing import FactList
from otel_llm.settings import Settings
from otel_llm.testing import Swallowed

START = {"type": "http.response.start", "status": 200, "headers": []}
PART = {"type": "http.response.body", "body": b"x", "more_body": True}
LAST = {"type": "http.response.body", "body": b"", "more_body": False}
UNAVAILABLE = {**START, "status": 503}
REFUSED = {**START, "status": 400}


class HostError(Exception):
    """The application's own error."""


@dataclass
class Script:
    """What application and server do.

    Attributes:
        steps: the application's, in order: "receive", a message to send, "shed", or an exception.
        disconnect_after: receives before the server reports a disconnect.
        send_error: what the server raises, and at which message.
    """

    steps: list[Any]
    disconnect_after: int = 10**6
    send_error: tuple[int, BaseException] | None = None
    sent: list[Message] = field(default_factory=list)
    received: list[Message] = field(default_factory=list)
    _receives: int = 0

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Play the application."""
        for step in self.steps:
            if step == "receive":
                self.received.append(await receive())
            elif step == "shed":
                current_call(scope).shed("full")
            elif isinstance(step, BaseException):
                raise step
            else:
                await send(step)

    async def receive(self) -> Message:
        """Play the server's receiving side."""
        self._receives += 1
        if self._receives > self.disconnect_after:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": b'{"model": "m"}', "more_body": False}

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """Play the server's sending side."""
        if self.send_error is not None and len(self.sent) >= self.send_error[0]:
            raise self.send_error[1]
        self.sent.append(message)


def _scope() -> dict[str, Any]:
    return {"type": "http", "method": "POST", "path": "/v1/completions", "headers": []}


async def _serve(
    script: Script, facts: FactList, *, bound: bool = True
) -> tuple[BaseException | None, GatewayMetrics]:
    metrics = GatewayMetrics()
    recorder = Recorder(facts, metrics)
    tenants = TenantRule(Settings(), None, metrics)
    inner = SpanBinder(script.app, recorder) if bound else script.app
    app = GatewayMiddleware(inner, Starlette(), recorder, tenants, frozenset())
    try:
        await app(_scope(), script.receive, script.send)
    except BaseException as error:  # noqa: BLE001  compared with what a bare server sees
        return error, metrics
    return None, metrics


def _run(script: Script, *, bound: bool = True) -> tuple[GatewayCall, BaseException | None]:
    facts = FactList()
    error, metrics = asyncio.run(_serve(script, facts, bound=bound))
    assert len(facts.started) == len(facts.calls) == 1
    assert facts.started[0].call_id == facts.calls[0].call_id
    assert facts.swallowed == 0
    assert metrics.registry.get_sample_value("otel_llm_gateway_calls_open") == 0
    return facts.calls[0], error


@pytest.mark.parametrize(
    ("script", "outcome", "error_class", "status"),
    [
        (Script([START, PART, LAST]), "finished", None, 200),
        (Script(["receive", UNAVAILABLE, LAST]), "failed", "http_503", 503),
        (Script([HostError()]), "failed", "HostError", None),
        (Script([START, PART, HostError()]), "failed", "HostError", 200),
        (Script([]), "failed", "no_response", None),
        (Script([START, PART]), "failed", "incomplete_response", 200),
        (Script([asyncio.CancelledError()]), "cancelled", "cancelled", None),
        (Script([START, asyncio.CancelledError()]), "cancelled", "cancelled", 200),
        (Script([KeyboardInterrupt()]), "failed", "KeyboardInterrupt", None),
        (
            Script(["receive", START, PART, "receive"], disconnect_after=1),
            "cancelled",
            "client_disconnect",
            200,
        ),
        (
            Script(["receive", HostError()], disconnect_after=0),
            "cancelled",
            "client_disconnect",
            None,
        ),
        (
            Script([START, PART, LAST], send_error=(1, OSError())),
            "cancelled",
            "client_disconnect",
            200,
        ),
        (Script([START, PART], send_error=(1, RuntimeError())), "failed", "RuntimeError", 200),
        (Script(["shed", UNAVAILABLE, LAST]), "shed", "full", 503),
        (Script(["shed", HostError()]), "shed", "full", None),
        (Script(["receive", "shed", "receive"], disconnect_after=1), "shed", "full", None),
        # An error stays one, even if the caller leaves once it has read it.
        (
            Script(["receive", REFUSED, PART, "receive"], disconnect_after=1),
            "failed",
            "http_400",
            400,
        ),
        (
            Script(["receive", REFUSED, PART, "receive", LAST], disconnect_after=1),
            "failed",
            "http_400",
            400,
        ),
        (Script([REFUSED, PART, LAST], send_error=(2, OSError())), "failed", "http_400", 400),
        (Script([UNAVAILABLE, PART, asyncio.CancelledError()]), "failed", "http_503", 503),
        (
            Script(["receive", "shed", UNAVAILABLE, PART, "receive"], disconnect_after=1),
            "shed",
            "full",
            503,
        ),
        # What comes after the last byte changes nothing.
        (Script([START, LAST, HostError()]), "finished", None, 200),
        (Script([START, LAST, "receive"], disconnect_after=0), "finished", None, 200),
        (Script([START, LAST, asyncio.CancelledError()]), "finished", None, 200),
    ],
)
def test_outcome(script: Script, outcome: str, error_class: str | None, status: int | None) -> None:
    """Each way to end has its outcome, its error class and the status that was sent."""
    call, _ = _run(script)
    assert (call.outcome, call.error_class, call.status_code) == (outcome, error_class, status)


_STEPS = st.sampled_from(
    [
        "receive",
        "shed",
        START,
        PART,
        LAST,
        UNAVAILABLE,
        HostError("host"),
        asyncio.CancelledError(),
        OSError("host's own"),
    ]
)
_SCRIPTS: st.SearchStrategy[dict[str, Any]] = st.builds(
    dict,
    steps=st.lists(_STEPS, max_size=8),
    disconnect_after=st.integers(0, 4),
    send_error=st.none()
    | st.tuples(
        st.integers(0, 4),
        st.sampled_from([OSError("gone"), HostError("send"), asyncio.CancelledError()]),
    ),
)


async def _bare(script: Script) -> BaseException | None:
    try:
        await script.app(_scope(), script.receive, script.send)
    except BaseException as error:  # noqa: BLE001  what the host would see
        return error
    return None


@settings(max_examples=300, deadline=None)
@given(_SCRIPTS, st.booleans())
def test_any_course_of_events(script: dict[str, Any], bound: bool) -> None:
    """One fact at each end; messages and exceptions are those of a bare host.

    So it is even where something between our layers keeps the inner one from being reached.
    """
    with_us, without = Script(**script), Script(**script)
    call, error = _run(with_us, bound=bound)
    assert error is asyncio.run(_bare(without))
    assert with_us.sent == without.sent
    assert with_us.received == without.received
    assert call.arrival_ns <= call.finished_ns
    assert call.response_bytes == sum(len(message.get("body", b"")) for message in _body(with_us))
    if call.outcome == "finished":
        assert LAST in with_us.sent
        assert call.error_class is None
        assert call.status_code == 200 or call.status_code is None
    else:
        assert call.error_class
    if call.status_code == 503:
        assert call.outcome in {"failed", "shed"}


def _body(script: Script) -> list[Message]:
    """Messages of the body up to its end."""
    found = []
    for message in script.sent:
        if message["type"] == "http.response.body":
            found.append(message)
            if not message["more_body"]:
                break
    return found


async def test_broken_journal_harms_nobody(swallowed: Swallowed) -> None:
    """Errors of ours at every place are counted, and the host is served as without us."""

    class Broken(FactList):
        def write(self, record: object) -> None:
            del record
            raise ZeroDivisionError

    script = Script(["receive", START, PART, LAST])
    facts = Broken()
    error, metrics = await _serve(script, facts)
    assert error is None
    assert script.sent == [START, PART, LAST]
    assert facts.swallowed == len(swallowed) >= 2
    places = {place for place, _ in swallowed}
    for place in places:
        count = metrics.registry.get_sample_value(
            "otel_llm_gateway_swallowed_errors_total", {"place": place}
        )
        assert count == swallowed.places.count(place)
    swallowed.clear()


async def test_no_fact_for_other_protocols() -> None:
    """Lifespan and websockets pass through."""
    facts = FactList()
    recorder = Recorder(facts, GatewayMetrics())
    tenants = TenantRule(Settings(), None, recorder.metrics)
    seen = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del receive, send
        seen.append(scope["type"])

    layered = GatewayMiddleware(
        SpanBinder(app, recorder), Starlette(), recorder, tenants, frozenset()
    )
    script = Script([])
    for kind in ("lifespan", "websocket"):
        await layered({"type": kind, "path": "/", "headers": []}, script.receive, script.send)
    assert seen == ["lifespan", "websocket"]
    assert facts.facts == []
