"""What a caller sent is in no span: neither a prompt in an exception, nor a key in a query."""

import os
from collections.abc import Callable

import httpx
import pytest
from fastapi import FastAPI
from opentelemetry.instrumentation._semconv import _OpenTelemetrySemanticConventionStability
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from otel_llm.gateways import instrument_gateway
from otel_llm.gateways.shield import shield
from otel_llm.gateways.testing import FactList
from otel_llm.settings import Settings

PATH = "/v1/completions"
PROMPT, KEY = "MY PRIVATE PROMPT", "sk-0123456789"


async def _raise(request: Request) -> JSONResponse:
    body = await request.json()
    message = f"cannot tokenize: {body['prompt']}"
    raise ValueError(message)


def _starlette() -> Starlette:
    return Starlette(routes=[Route(PATH, _raise, methods=["POST"])])


def _fastapi() -> FastAPI:
    app = FastAPI()
    app.add_route(PATH, _raise, methods=["POST"])
    return app


async def _post(app: Starlette) -> None:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        await client.post(f"{PATH}?api_key={KEY}", json={"prompt": PROMPT})


def _assert_clean(spans: tuple[ReadableSpan, ...]) -> None:
    assert spans
    told = "".join(span.to_json() for span in spans)
    assert PROMPT not in told
    assert KEY not in told


@pytest.fixture(params=["", "http", "http/dup"])
def _conventions(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenTelemetry's old names, its new ones, or both."""
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", request.param)
    state = _OpenTelemetrySemanticConventionStability
    monkeypatch.setattr(state, "_initialized", False)
    monkeypatch.setattr(state, "_OTEL_SEMCONV_STABILITY_SIGNAL_MAPPING", {})
    assert os.environ["OTEL_SEMCONV_STABILITY_OPT_IN"] == request.param


@pytest.mark.usefixtures("_conventions")
@pytest.mark.parametrize("make", [_starlette, _fastapi])
async def test_prompt_and_key_stay_out(
    facts: FactList,
    provider: TracerProvider,
    exporter: InMemorySpanExporter,
    make: Callable[[], Starlette],
) -> None:
    """A route that raises the prompt, called with a key in its query, leaves neither."""
    app = make()
    instrument_gateway(app, Settings(), tracer_provider=provider, journal=facts)
    await _post(app)
    _assert_clean(exporter.get_finished_spans())


async def test_an_exception_keeps_its_type(
    facts: FactList, provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    """The event tells what was raised, and the span is an error without a description."""
    app = _fastapi()
    instrument_gateway(app, Settings(), tracer_provider=provider, journal=facts)
    await _post(app)
    (span,) = exporter.get_finished_spans()
    events = [dict(event.attributes or {}) for event in span.events]
    assert events
    assert all(event["exception.type"] == "ValueError" for event in events)
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, None)


async def test_spans_of_the_users_own_instrumentation(
    facts: FactList, provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    """A server span that was there before us is shielded as well."""
    app = _fastapi()
    FastAPIInstrumentor.instrument_app(
        app, tracer_provider=provider, exclude_spans=["receive", "send"]
    )
    instrument_gateway(app, Settings(), tracer_provider=provider, journal=facts)
    await _post(app)
    _assert_clean(exporter.get_finished_spans())
    FastAPIInstrumentor.uninstrument_app(app)


async def test_disabled_shields_too(
    facts: FactList, provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    """Spans are made without facts also; they hold no more than with them."""
    app = _fastapi()
    instrument_gateway(app, Settings(enabled=False), tracer_provider=provider, journal=facts)
    await _post(app)
    _assert_clean(exporter.get_finished_spans())


def test_shielded_span(provider: TracerProvider, exporter: InMemorySpanExporter) -> None:
    """Codes, types and the host's attributes stay; texts go. Shielding twice is shielding once."""
    span = provider.get_tracer("x").start_span("s", attributes={"url.full": f"http://h/p?k={KEY}"})
    shield(span)
    shield(span)
    span.record_exception(httpx.ReadError(PROMPT), {"exception.message": PROMPT, "mine": 1})
    span.set_status(StatusCode.ERROR, PROMPT)
    span.end()
    (ended,) = exporter.get_finished_spans()
    _assert_clean((ended,))
    assert dict(ended.attributes or {}) == {"url.full": "http://h/p"}
    assert [dict(event.attributes or {}) for event in ended.events] == [
        {"exception.type": "httpx.ReadError", "exception.escaped": "False", "mine": 1}
    ]
    assert ended.status.status_code is StatusCode.ERROR
