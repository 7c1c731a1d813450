"""TTFT_caller ends just before a message is sent, however long the server takes to send it."""

from starlette.applications import Starlette
from starlette.types import Message, Receive, Scope, Send

from otel_llm.clock import MonotonicNs
from otel_llm.gateways.metrics import GatewayMetrics
from otel_llm.gateways.middleware import GatewayMiddleware
from otel_llm.gateways.recorder import Recorder
from otel_llm.gateways.tenants import TenantRule
from otel_llm.gateways.testing import FactList
from otel_llm.settings import Settings
from otel_llm.testing import FakeClock

PATH = "/v1/chat/completions"
CONTENT = b'data: {"choices":[{"delta":{"content":"x"}}]}\n\n'
THINKING_NS, SENDING_NS = 300, 5_000


async def test_a_slow_send_is_no_part_of_ttft(facts: FactList, clock: FakeClock) -> None:
    """A send that waits for the caller's connection moves neither first nor last content."""

    async def app(_: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200,
                    "headers": [(b"content-type", b"text/event-stream")]})  # fmt: skip
        for _turn in range(2):
            clock.advance(THINKING_NS)
            await send({"type": "http.response.body", "body": CONTENT, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def receive() -> Message:
        return {"type": "http.request", "body": b'{"stream": true}', "more_body": False}

    async def slow_send(_: Message) -> None:
        clock.advance(SENDING_NS)

    metrics, settings = GatewayMetrics(), Settings()
    recorder = Recorder(facts, metrics, None, clock=clock)
    tenants = TenantRule(settings, None, metrics)
    middleware = GatewayMiddleware(app, Starlette(), recorder, tenants, frozenset())
    scope: Scope = {"type": "http", "method": "POST", "path": PATH, "headers": [], "client": None}
    arrival_ns: MonotonicNs = clock.monotonic_ns()
    await middleware(scope, receive, slow_send)
    (call,) = facts.calls
    # The head was sent slowly before; the content's own send does not count.
    assert call.first_content_ns == arrival_ns + SENDING_NS + THINKING_NS
    assert call.last_content_ns == arrival_ns + 2 * (SENDING_NS + THINKING_NS)
    assert call.finished_ns == arrival_ns + 4 * SENDING_NS + 2 * THINKING_NS
