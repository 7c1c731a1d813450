"""Runs the same application bare and instrumented, in turns, without a socket."""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from starlette.types import Message, Receive

from otel_llm.gateways import current_call, instrument_gateway
from otel_llm.settings import Settings, default_journal_dir

ROUNDS = 41
CALLS = 12
CHUNKS = 256
PATH = "/v1/chat/completions"
BODY = b'{"model":"m","stream":true,"messages":[{"role":"user","content":"' + b"x" * 2000 + b'"}]}'
CHUNK = (
    b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m",'
    b'"choices":[{"index":0,"delta":{"content":" word"},"finish_reason":null}]}\n\n'
)
_NAMES = ("bare", "opentelemetry", "gateway", "gateway, no SDK", "gateway, attempt")
_BARE, _SPANS, _ALL, _NO_SDK, _ATTEMPT = _NAMES
_SCOPE: dict[str, Any] = {
    "type": "http",
    "asgi": {"version": "3.0", "spec_version": "2.4"},
    "http_version": "1.1",
    "method": "POST",
    "scheme": "http",
    "path": PATH,
    "raw_path": PATH.encode(),
    "query_string": b"",
    "root_path": "",
    "client": ("127.0.0.1", 50000),
    "server": ("127.0.0.1", 8000),
    "headers": [
        (b"host", b"127.0.0.1:8000"),
        (b"content-type", b"application/json"),
        (b"content-length", str(len(BODY)).encode()),
        (b"traceparent", b"00-" + b"ab" * 16 + b"-" + b"cd" * 8 + b"-01"),
        (b"tracestate", b"vendor=1"),
        (b"x-otel-llm-tenant", b"acme"),
    ],
}


class _Nowhere(SpanExporter):
    """Takes spans and drops them: sending them is not the middleware's cost."""

    def export(self, spans: object) -> SpanExportResult:
        """Drop them."""
        del spans
        return SpanExportResult.SUCCESS


def provider() -> TracerProvider:
    """An SDK that samples everything and sends nothing."""
    made = TracerProvider()
    made.add_span_processor(BatchSpanProcessor(_Nowhere()))
    return made


def application(chunks: int, *, attempt: bool = False) -> FastAPI:
    """A gateway that answers by itself, so that only its framework's time is measured."""
    app = FastAPI()

    @app.post(PATH)
    async def chat(request: Request) -> StreamingResponse:
        await request.body()
        if attempt:
            async with current_call(request).attempt("engine-a") as trying:
                trying.headers({"content-type": "application/json"})
                trying.responded(200)

        async def stream() -> AsyncIterator[bytes]:
            for _ in range(chunks):
                yield CHUNK

        return StreamingResponse(stream(), media_type="text/event-stream")

    return app


@contextmanager
def applications(chunks: int) -> Iterator[dict[str, FastAPI]]:
    """The applications to compare, by name."""
    with tempfile.TemporaryDirectory(dir=Path(default_journal_dir()).parent) as folder:
        settings = Settings(journal_dir=f"{folder}/j", trusted_proxies=("127.0.0.1/32",))
        made = {name: application(chunks, attempt=name == _ATTEMPT) for name in _NAMES}
        spans = provider()
        FastAPIInstrumentor.instrument_app(
            made[_SPANS], tracer_provider=spans, exclude_spans=["send", "receive"]
        )
        gateways = [
            instrument_gateway(made[_ALL], settings, tracer_provider=spans),
            instrument_gateway(made[_ATTEMPT], settings, tracer_provider=spans),
            instrument_gateway(made[_NO_SDK], settings),
        ]
        yield made
        for gateway in gateways:
            gateway.undo()
        spans.shutdown()


def times_us(chunks: int) -> dict[str, list[float]]:
    """CPU time per call of each application, in microseconds, one figure per round."""
    with applications(chunks) as made:
        return asyncio.run(_in_turn(made))


async def _in_turn(made: dict[str, FastAPI]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {name: [] for name in made}
    for _ in range(ROUNDS + 1):
        for name, app in made.items():
            started = time.thread_time_ns()
            for _ in range(CALLS):
                await app(_scope(), _receive(), _send)
            found[name].append((time.thread_time_ns() - started) / CALLS / 1000)
    return {name: values[1:] for name, values in found.items()}  # the first one warms up


def _scope() -> dict[str, Any]:
    return {**_SCOPE, "headers": list(_SCOPE["headers"])}


def _receive() -> Receive:
    messages = [{"type": "http.request", "body": BODY, "more_body": False}]

    async def receive() -> Message:
        return messages.pop() if messages else {"type": "http.disconnect"}

    return receive


async def _send(message: Message) -> None:
    del message


def added(times: dict[str, list[float]], name: str, base: str = _BARE) -> list[float]:
    """What one application takes more than another, round by round."""
    return [more - less for more, less in zip(times[name], times[base], strict=True)]
