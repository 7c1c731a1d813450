"""Instrumenting and undoing: once, completely, beside other instrumentation."""

import gc
import logging
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from otel_llm.errors import SettingError
from otel_llm.gateways import GatewayInstrumentation, instrument_gateway
from otel_llm.gateways.testing import FactList
from otel_llm.journal.directory import scan
from otel_llm.journal.reader import JournalReader
from otel_llm.settings import Settings

PATH = "/v1/completions"
SETTINGS = Settings()


async def _complete(request: Request) -> JSONResponse:
    await request.body()
    return JSONResponse({"id": "c-1"})


def _starlette() -> Starlette:
    return Starlette(routes=[Route(PATH, _complete, methods=["POST"])])


def _fastapi() -> FastAPI:
    app = FastAPI()
    app.add_route(PATH, _complete, methods=["POST"])
    return app


MAKERS = pytest.mark.parametrize("make", [_starlette, _fastapi])
Make = Callable[[], Starlette]


async def _call(app: Starlette, path: str = PATH, method: str = "POST") -> httpx.Response:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        return await client.request(method, path)


def _state(app: Starlette) -> dict[str, Any]:
    kept = {key: value for key, value in vars(app).items() if key != "user_middleware"}
    # FastAPI's instrumentor keeps apps in a set by hash; the middleware list is ours to compare.
    return {**kept, "user_middleware": list(app.user_middleware)}


@MAKERS
@pytest.mark.parametrize("served_before", [False, True])
async def test_undo_restores_the_application(
    facts: FactList, make: Make, served_before: bool
) -> None:
    """After the undo every attribute is the object that was there before."""
    app = make()
    if served_before:
        await _call(app)
    before, task_call = _state(app), BackgroundTask.__call__
    gateway = instrument_gateway(app, SETTINGS, journal=facts)
    await _call(app)
    gateway.undo()
    after = _state(app)
    assert after.keys() == before.keys()
    assert all(after[key] is before[key] or after[key] == before[key] for key in before)
    assert app.middleware_stack is before["middleware_stack"]
    assert BackgroundTask.__call__ is task_call
    await _call(app)
    assert len(facts.calls) == 1
    assert facts.closed


@MAKERS
async def test_instrument_undo_instrument(
    facts: FactList, provider: TracerProvider, exporter: InMemorySpanExporter, make: Make
) -> None:
    """After a second instrumentation there is one set of facts and spans per call."""
    app = make()
    instrument_gateway(app, SETTINGS, tracer_provider=provider, journal=FactList()).undo()
    instrument_gateway(app, SETTINGS, tracer_provider=provider, journal=facts)
    await _call(app)
    assert (len(facts.started), len(facts.calls)) == (1, 1)
    assert len(exporter.get_finished_spans()) == 1


@MAKERS
async def test_second_call_changes_nothing(
    facts: FactList, caplog: pytest.LogCaptureFixture, make: Make
) -> None:
    """Instrumenting twice warns and returns the first instrumentation."""
    app = make()
    first = instrument_gateway(app, SETTINGS, journal=facts)
    with caplog.at_level(logging.WARNING, "otel_llm"):
        assert instrument_gateway(app, SETTINGS) is first
    assert "instrumented already" in caplog.text
    await _call(app)
    assert len(facts.calls) == 1


def test_undo_twice_does_nothing(facts: FactList) -> None:
    """A second undo leaves a newer instrumentation alone."""
    app = _starlette()
    first = instrument_gateway(app, SETTINGS, journal=FactList())
    first.undo()
    second = instrument_gateway(app, SETTINGS, journal=facts)
    first.undo()
    assert instrument_gateway(app, SETTINGS) is second


async def test_with_fastapi_instrumented_before(
    facts: FactList, provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    """The user's own OpenTelemetry instrumentation is used, and left in place by the undo."""
    app = _fastapi()
    FastAPIInstrumentor.instrument_app(
        app, tracer_provider=provider, exclude_spans=["send", "receive"]
    )
    gateway = instrument_gateway(app, SETTINGS, journal=facts)
    await _call(app)
    (span,) = exporter.get_finished_spans()
    assert facts.calls[0].span_id == f"{span.context.span_id:016x}"
    gateway.undo()
    await _call(app)
    assert len(exporter.get_finished_spans()) == 2
    FastAPIInstrumentor.uninstrument_app(app)


async def test_with_opentelemetry_among_the_users_middleware(
    facts: FactList, provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    """OpenTelemetry's ASGI middleware in the user's own list is found and used."""
    traced = Middleware(
        OpenTelemetryMiddleware, tracer_provider=provider, exclude_spans=["send", "receive"]
    )
    app = Starlette(routes=[Route(PATH, _complete, methods=["POST"])], middleware=[traced])
    instrument_gateway(app, SETTINGS, journal=facts)
    await _call(app)
    (span,) = exporter.get_finished_spans()
    assert facts.calls[0].span_id == f"{span.context.span_id:016x}"


async def test_patched_over_by_somebody_else(
    facts: FactList, caplog: pytest.LogCaptureFixture
) -> None:
    """Where somebody has patched over us since, their patch stays and our layers do nothing."""
    app = _starlette()
    gateway = instrument_gateway(app, SETTINGS, journal=facts)
    ours, calls = app.build_middleware_stack, []

    def theirs() -> ASGIApp:
        calls.append("built")
        return ours()

    app.build_middleware_stack = theirs  # type: ignore[method-assign]
    with caplog.at_level(logging.WARNING, "otel_llm"):
        gateway.undo()
    assert "patched by somebody else" in caplog.text
    assert (await _call(app)).status_code == 200
    assert calls == ["built"]
    assert facts.facts == []


async def test_undo_with_a_call_in_flight(facts: FactList) -> None:
    """A call in flight at the undo still leaves its fact, and the journal closes after it."""
    gateways: list[GatewayInstrumentation] = []

    async def complete(request: Request) -> JSONResponse:
        gateways.pop().undo()
        assert not facts.closed
        return await _complete(request)

    app = Starlette(routes=[Route(PATH, complete, methods=["POST"])])
    gateways.append(instrument_gateway(app, SETTINGS, journal=facts))
    await _call(app)
    assert [call.outcome for call in facts.calls] == ["finished"]
    assert facts.closed


async def test_middleware_added_after_is_inside(facts: FactList) -> None:
    """A user's middleware that refuses a call is still seen, with the span's ids."""

    class Refuse:
        def __init__(self, app: ASGIApp) -> None:
            del app

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            await JSONResponse({}, 401)(scope, receive, send)

    app = _starlette()
    instrument_gateway(app, SETTINGS, journal=facts)
    app.add_middleware(Refuse)
    await _call(app)
    call = facts.calls[0]
    assert (call.outcome, call.status_code, call.error_class) == ("failed", 401, "http_401")


@MAKERS
async def test_paths_that_are_no_calls(
    facts: FactList,
    provider: TracerProvider,
    exporter: InMemorySpanExporter,
    monkeypatch: pytest.MonkeyPatch,
    make: Make,
) -> None:
    """Probes and scrapes leave neither facts nor spans; others do, whatever their status."""
    monkeypatch.delenv("OTEL_PYTHON_FASTAPI_EXCLUDED_URLS", raising=False)
    app = make()
    instrument_gateway(app, SETTINGS, tracer_provider=provider, journal=facts)
    for path in ("/health", "/metrics", "/metrics/"):
        await _call(app, path, "GET")
    assert facts.facts == []
    assert exporter.get_finished_spans() == ()
    await _call(app, "/nowhere/42", "GET")
    assert (facts.calls[0].route, facts.calls[0].status_code) == ("", 404)


async def test_disabled(facts: FactList) -> None:
    """`enabled=false` writes nothing and serves as before."""
    app = _starlette()
    instrument_gateway(app, Settings(enabled=False), journal=facts)
    assert (await _call(app)).status_code == 200
    assert facts.facts == []


def test_wrong_setting_leaves_the_application_alone() -> None:
    """A setting that cannot be used is told before anything is patched."""
    app = _starlette()
    before = dict(vars(app))
    with pytest.raises(SettingError, match="trusted_proxies"):
        instrument_gateway(app, Settings(trusted_proxies=("nonsense",)), journal=FactList())
    assert vars(app) == before


async def test_journal_of_its_own(tmp_path: Path) -> None:
    """Without a journal given, facts are read back from one in `journal_dir`."""
    app = _starlette()
    settings = Settings(journal_dir=str(tmp_path / "journals"), journal_bytes=65536)
    gateway = instrument_gateway(app, settings)
    await _call(app)
    gateway.undo()
    (path,) = scan(tmp_path / "journals")
    reader = JournalReader.open(path)
    kinds = [type(record).__name__ for record in reader.read()]
    assert kinds == ["Anchor", "GatewayCallStarted", "GatewayCall"]
    assert reader.counters.clean_close
    reader.close()


async def test_applications_are_released(facts: FactList) -> None:
    """Instrumenting keeps no application alive."""
    app = _starlette()
    instrument_gateway(app, SETTINGS, journal=facts)
    await _call(app)
    gone = weakref.ref(app)
    del app
    gc.collect()
    assert gone() is None


@MAKERS
async def test_mounted_application_is_one_call(facts: FactList, make: Make) -> None:
    """A call through an instrumented application into another one is one call."""
    inner, other = make(), FactList()
    instrument_gateway(inner, SETTINGS, journal=other)
    outer = Starlette(routes=[Mount("/api", inner)])
    instrument_gateway(outer, SETTINGS, journal=facts)
    await _call(outer, "/api" + PATH)
    assert [call.route for call in facts.calls] == ["/api" + PATH]
    assert facts.calls[0].operation == "text_completion"
    assert other.facts == []


async def test_route_templates(facts: FactList) -> None:
    """The fact names the route's template, never the path, in included routers too."""
    router = APIRouter(prefix="/v2")

    @router.get("/models/{name}")
    async def model(name: str) -> str:
        return name

    app = FastAPI()
    app.include_router(router)
    app.add_route("/items/{item:int}", _complete, methods=["GET"])
    instrument_gateway(app, SETTINGS, journal=facts)
    await _call(app, "/v2/models/llama", "GET")
    await _call(app, "/items/7", "GET")
    await _call(app, "/items/7", "DELETE")
    assert [call.route for call in facts.calls] == [
        "/v2/models/{name}",
        "/items/{item}",
        "/items/{item}",
    ]
    assert [call.status_code for call in facts.calls] == [200, 200, 405]


async def test_exception_of_a_route(
    facts: FactList, provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    """An unhandled error goes on unmodified; the fact has its class and the 500 that was sent."""
    error = RuntimeError("boom")

    async def fail(_: Request) -> JSONResponse:
        raise error

    app = Starlette(routes=[Route(PATH, fail, methods=["POST"])])
    instrument_gateway(app, SETTINGS, tracer_provider=provider, journal=facts)
    with pytest.raises(RuntimeError) as raised:
        await _call(app)
    assert raised.value is error
    call = facts.calls[0]
    assert (call.outcome, call.error_class, call.status_code) == ("failed", "RuntimeError", 500)
    (span,) = exporter.get_finished_spans()
    assert span.attributes is not None
    assert span.attributes["error.type"] == "RuntimeError"
