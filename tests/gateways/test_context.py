"""Trace ids, parents, tracestate and attempts, with an SDK and without."""

import asyncio
import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, StatusCode
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from otel_llm.context import parse_tenant, parse_traceparent
from otel_llm.conventions import Attr, SpanName
from otel_llm.gateways import UpstreamAttempt, current_call, instrument_gateway
from otel_llm.gateways.testing import FactList
from otel_llm.settings import Settings

PATH = "/v1/completions"
TRACE, CALLER = "ab" * 16, "cd" * 8
TRACEPARENT = f"00-{TRACE}-{CALLER}-01"
SETTINGS = Settings(trusted_proxies=("127.0.0.1/32",))

Use = Callable[[UpstreamAttempt], Any]


def _app(
    upstream_headers: list[dict[str, str]], use: Use = lambda _: None, tries: int = 1
) -> Starlette:
    async def complete(request: Request) -> JSONResponse:
        call = current_call(request)
        await request.body()
        for number in range(tries):
            async with call.attempt(
                f"engine-{number}", backoff_ns=number, breaker="closed"
            ) as attempt:
                upstream_headers.append(attempt.headers({"Accept": "a", "TraceParent": "stale"}))
                use(attempt)
        return JSONResponse({"id": "c-1", "usage": {"prompt_tokens": 3, "completion_tokens": 2}})

    return Starlette(routes=[Route(PATH, complete, methods=["POST"])])


async def _post(app: Starlette, headers: dict[str, str] | None = None) -> httpx.Response:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        return await client.post(PATH, json={"model": "m", "n": 2}, headers=headers)


def _hex(span: ReadableSpan) -> tuple[str, str]:
    return f"{span.context.trace_id:032x}", f"{span.context.span_id:016x}"


async def test_ids_are_those_of_the_spans(
    facts: FactList, provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    """Call and attempts carry the ids of server and client spans, which nest under the caller."""
    sent: list[dict[str, str]] = []
    app = _app(sent, tries=2)
    instrument_gateway(app, SETTINGS, tracer_provider=provider, journal=facts)
    await _post(app, {"traceparent": TRACEPARENT})
    first, second, server = exporter.get_finished_spans()
    call = facts.calls[0]
    assert (call.trace_id, call.span_id) == _hex(server) == (TRACE, facts.started[0].span_id)
    assert call.parent_span_id == CALLER
    assert server.parent is not None
    assert f"{server.parent.span_id:016x}" == CALLER
    assert call.attempts == 2
    for span, attempt, headers in zip((first, second), facts.attempts, sent, strict=True):
        assert (attempt.trace_id, attempt.span_id) == _hex(span)
        assert (span.name, span.kind) == (SpanName.ATTEMPT, SpanKind.CLIENT)
        assert span.parent is not None
        assert span.parent.span_id == server.context.span_id
        assert headers["traceparent"] == f"00-{TRACE}-{attempt.span_id}-01"
        assert headers["Accept"] == "a"
        assert "TraceParent" not in headers


async def test_span_attributes(
    facts: FactList, provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    """Server and attempt spans say what the facts say, under the declared names."""
    app = _app([], use=lambda attempt: attempt.responded(200))
    instrument_gateway(app, SETTINGS, tracer_provider=provider, journal=facts)
    await _post(app, {"x-otel-llm-tenant": "acme", "x-otel-llm-tier": "gold"})
    attempt, server = exporter.get_finished_spans()
    call = facts.calls[0]
    assert dict(attempt.attributes or {}) == {
        Attr.CALL_ID: call.call_id,
        Attr.ATTEMPT: 1,
        Attr.UPSTREAM: "engine-0",
        Attr.BREAKER: "closed",
        Attr.TENANT: "acme",
        Attr.OUTCOME: "finished",
        Attr.HTTP_STATUS: 200,
    }
    ours = {
        key: value
        for key, value in (server.attributes or {}).items()
        if key.startswith(("gen_ai.", "otel_llm.", "error."))
    }
    ttft_s = ours.pop(Attr.TTFT_CALLER)
    assert call.first_content_ns is not None
    assert ttft_s == (call.first_content_ns - call.arrival_ns) / 1e9
    assert ours == {
        Attr.CALL_ID: call.call_id,
        Attr.TENANT: "acme",
        Attr.TIER: "gold",
        Attr.OPERATION: "text_completion",
        Attr.REQUEST_MODEL: "m",
        Attr.CHOICE_COUNT: 2,
        Attr.RESPONSE_ID: "c-1",
        Attr.INPUT_TOKENS: 3,
        Attr.OUTPUT_TOKENS: 2,
        Attr.OUTCOME: "finished",
    }


async def test_no_message_spans(
    facts: FactList, provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    """There is one server span per call, without OpenTelemetry's send and receive spans."""
    app = _app([], tries=0)
    instrument_gateway(app, SETTINGS, tracer_provider=provider, journal=facts)
    await _post(app)
    assert [span.name for span in exporter.get_finished_spans()] == [f"POST {PATH}"]


async def test_without_sdk_ids_are_valid(facts: FactList) -> None:
    """Without an SDK the facts have ids of their own, and the context still reaches upstream."""
    sent: list[dict[str, str]] = []
    app = _app(sent)
    instrument_gateway(app, SETTINGS, journal=facts)
    await _post(app, {"traceparent": TRACEPARENT, "tracestate": "vendor=1"})
    call, attempt = facts.calls[0], facts.attempts[0]
    assert call.trace_id == attempt.trace_id == TRACE
    assert call.parent_span_id == CALLER
    assert len({CALLER, call.span_id, attempt.span_id, "0" * 16}) == 4
    assert sent[0]["traceparent"] == f"00-{TRACE}-{attempt.span_id}-01"
    assert sent[0]["tracestate"] == "otelllm=t:unknown;a:1,vendor=1"


async def test_without_sdk_and_caller(facts: FactList) -> None:
    """A root call has a random trace, and is marked sampled since nobody decided against it."""
    sent: list[dict[str, str]] = []
    app = _app(sent)
    instrument_gateway(app, SETTINGS, journal=facts)
    await _post(app)
    await _post(app)
    first, second = facts.calls
    assert first.trace_id != second.trace_id
    assert first.parent_span_id is None
    parsed = parse_traceparent(sent[0]["traceparent"])
    assert parsed is not None
    assert (parsed.trace_id, parsed.sampled) == (first.trace_id, True)


async def test_sampled_out_facts_are_whole(facts: FactList) -> None:
    """A call that the SDK does not sample leaves all facts, and says so upstream."""
    sent: list[dict[str, str]] = []
    app = _app(sent)
    off = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    instrument_gateway(app, SETTINGS, tracer_provider=off, journal=facts)
    await _post(app)
    call, attempt = facts.calls[0], facts.attempts[0]
    assert call.trace_id == attempt.trace_id
    assert call.span_id != attempt.span_id
    assert sent[0]["traceparent"] == f"00-{call.trace_id}-{attempt.span_id}-00"


@pytest.mark.parametrize("with_sdk", [True, False])
@pytest.mark.parametrize(
    "malformed",
    [
        "",
        "00-xyz",
        f"00-{'0' * 32}-{CALLER}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-{CALLER}-01",
        f"00-{TRACE}-{CALLER}-01-more",
        f"00-{TRACE.upper()}-{CALLER}-01",
        "é" * 55,
    ],
)
async def test_malformed_traceparent_starts_a_new_trace(
    facts: FactList, provider: TracerProvider, with_sdk: bool, malformed: str
) -> None:
    """A malformed traceparent is counted and ignored, its tracestate with it."""
    sent: list[dict[str, str]] = []
    app = _app(sent)
    gateway = instrument_gateway(
        app, SETTINGS, tracer_provider=provider if with_sdk else None, journal=facts
    )
    headers = httpx.Headers(
        {"traceparent": malformed, "tracestate": "vendor=1"}, encoding="latin-1"
    )
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        await client.post(PATH, json={}, headers=headers)
    call = facts.calls[0]
    assert call.parent_span_id is None
    assert call.trace_id != TRACE
    assert sent[0]["tracestate"] == "otelllm=t:unknown;a:1"
    refused = gateway.metrics.registry.get_sample_value(
        "otel_llm_gateway_refused_values_total", {"what": "traceparent"}
    )
    assert refused == 1


@pytest.mark.parametrize("with_sdk", [True, False])
async def test_two_traceparents_start_a_new_trace(
    facts: FactList, provider: TracerProvider, with_sdk: bool
) -> None:
    """Of two contexts neither counts, for the SDK's span as for the facts."""
    sent: list[dict[str, str]] = []
    app = _app(sent)
    instrument_gateway(app, SETTINGS, tracer_provider=provider if with_sdk else None, journal=facts)
    transport = httpx.ASGITransport(app)
    headers = [("traceparent", TRACEPARENT), ("traceparent", f"00-{'12' * 16}-{CALLER}-01")]
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        await client.post(PATH, json={}, headers=headers)
    (call,) = facts.calls
    assert call.parent_span_id is None
    assert call.trace_id not in (TRACE, "12" * 16)


@pytest.mark.parametrize("with_sdk", [True, False])
async def test_incoming_member_is_dropped(
    facts: FactList, provider: TracerProvider, with_sdk: bool
) -> None:
    """A caller's own `otelllm` members never reach an upstream; others' members do, in order."""
    sent: list[dict[str, str]] = []
    app = _app(sent, tries=2)
    instrument_gateway(app, SETTINGS, tracer_provider=provider if with_sdk else None, journal=facts)
    spoofed = "a=1,otelllm=t:evil;p:gold;a:9,b=2, otelllm =t:worse,\totelllm=t:worst"
    await _post(
        app, {"traceparent": TRACEPARENT, "tracestate": spoofed, "x-otel-llm-tenant": "acme"}
    )
    states = [headers["tracestate"] for headers in sent]
    assert states == ["otelllm=t:acme;a:1,a=1,b=2", "otelllm=t:acme;a:2,a=1,b=2"]
    assert facts.calls[0].tenant == facts.started[0].tenant == "acme"


async def test_other_instrumentation_carries_our_member(
    facts: FactList, provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    """The server span's own tracestate has the right tenant, for whoever injects by himself."""
    app = _app([], tries=0)
    instrument_gateway(app, SETTINGS, tracer_provider=provider, journal=facts)
    headers = {
        "traceparent": TRACEPARENT,
        "tracestate": "otelllm=t:evil",
        "x-otel-llm-tenant": "acme",
    }
    await _post(app, headers)
    state = exporter.get_finished_spans()[0].context.trace_state.to_header()
    tag = parse_tenant(state)
    assert tag is not None
    assert tag.tenant == "acme"


async def test_tracestate_that_cannot_be_a_header(facts: FactList) -> None:
    """Members with bytes that no header may hold are dropped, so that the upstream call works."""
    sent: list[dict[str, str]] = []
    app = _app(sent)
    instrument_gateway(app, SETTINGS, journal=facts)
    headers = httpx.Headers(
        {"traceparent": TRACEPARENT, "tracestate": "x=é,y=1"}, encoding="latin-1"
    )
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        await client.post(PATH, json={}, headers=headers)
    assert sent[0]["tracestate"] == "otelllm=t:unknown;a:1,y=1"


async def test_uninstrumented_application() -> None:
    """Without the middleware `current_call` works, makes no fact and trusts no member."""
    sent: list[dict[str, str]] = []
    response = await _post(
        _app(sent), {"traceparent": TRACEPARENT, "tracestate": "otelllm=t:evil,a=1"}
    )
    assert response.status_code == 200
    assert re.fullmatch(f"00-{TRACE}-[0-9a-f]{{16}}-01", sent[0]["traceparent"])
    assert sent[0]["tracestate"] == "otelllm=t:unknown;a:1,a=1"


class UpstreamError(Exception):
    """What a host's client raises."""


def _raise(error: BaseException) -> Use:
    def use(_: UpstreamAttempt) -> None:
        raise error

    return use


def _fail_then(error: BaseException) -> Use:
    def use(attempt: UpstreamAttempt) -> None:
        attempt.failed("timeout")
        raise error

    return use


@pytest.mark.parametrize(
    ("use", "outcome", "error_class", "status"),
    [
        (lambda attempt: attempt.responded(200), "finished", None, 200),
        (lambda _: None, "finished", None, None),
        (lambda attempt: attempt.responded(503), "failed", "http_503", 503),
        (lambda attempt: attempt.failed("breaker_open"), "failed", "breaker_open", None),
        (_raise(UpstreamError()), "failed", "UpstreamError", None),
        (_raise(asyncio.CancelledError()), "cancelled", "cancelled", None),
        (_raise(GeneratorExit()), "cancelled", "cancelled", None),
        (_fail_then(UpstreamError()), "failed", "timeout", None),
    ],
)
async def test_attempt_outcome(
    facts: FactList,
    provider: TracerProvider,
    exporter: InMemorySpanExporter,
    use: Use,
    outcome: str,
    error_class: str | None,
    status: int | None,
) -> None:
    """An attempt leaves one fact and one span whatever ends it, and the exception goes on."""
    app = _app([], use=use)
    instrument_gateway(app, SETTINGS, tracer_provider=provider, journal=facts)
    try:
        await _post(app)
    except (UpstreamError, asyncio.CancelledError, GeneratorExit) as error:
        raised: BaseException | None = error
    else:
        raised = None
    assert (raised is not None) == (use.__qualname__.startswith(("_raise", "_fail_then")))
    (attempt,) = facts.attempts
    assert (attempt.outcome, attempt.error_class, attempt.status_code) == (
        outcome,
        error_class,
        status,
    )
    assert facts.calls[0].arrival_ns <= attempt.started_ns <= attempt.finished_ns
    assert attempt.finished_ns <= facts.calls[0].finished_ns
    (span,) = (s for s in exporter.get_finished_spans() if s.name == SpanName.ATTEMPT)
    assert span.attributes is not None
    assert span.attributes.get(Attr.ERROR_TYPE) == error_class
    assert (span.status.status_code is StatusCode.ERROR) == (outcome == "failed")


async def test_call_fails_for_the_attempts_reason(facts: FactList) -> None:
    """A call that fails after a failed attempt carries that attempt's error class."""
    app = _app([], use=_fail_then(UpstreamError()))
    instrument_gateway(app, SETTINGS, journal=facts)
    with pytest.raises(UpstreamError):
        await _post(app)
    call = facts.calls[0]
    assert (call.outcome, call.error_class, call.status_code) == ("failed", "timeout", 500)


async def test_first_byte_counts_once(facts: FactList) -> None:
    """Only the first `first_byte` is kept."""

    def use(attempt: UpstreamAttempt) -> None:
        attempt.first_byte()
        first = attempt._first_byte_ns
        attempt.first_byte()
        assert attempt._first_byte_ns == first

    app = _app([], use=use)
    instrument_gateway(app, SETTINGS, journal=facts)
    await _post(app)
    attempt = facts.attempts[0]
    assert attempt.first_byte_ns is not None
    assert attempt.started_ns <= attempt.first_byte_ns <= attempt.finished_ns
