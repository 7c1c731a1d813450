"""The gateway's metrics and their page."""

from typing import Any

import httpx
import pytest

from otel_llm.clock import MonotonicNs
from otel_llm.conventions import OTHER_TENANT, Metrics
from otel_llm.facts.gateway import Attempt, GatewayCall
from otel_llm.gateways.metrics import MAX_MODELS, GatewayMetrics
from otel_llm.gateways.metrics_page import MetricsPage

TRACE = "ab" * 16


def _call(**changes: object) -> GatewayCall:
    values: dict[str, Any] = {
        "call_id": "c",
        "trace_id": TRACE,
        "span_id": "s",
        "parent_span_id": None,
        "arrival_ns": MonotonicNs(1_000_000_000),
        "finished_ns": MonotonicNs(3_000_000_000),
        "method": "POST",
        "route": "/v1/completions",
        "operation": "text_completion",
        "model": "m",
        "tenant": "acme",
        "tier": "",
        "outcome": "finished",
        "status_code": 200,
        "stream": True,
        "first_content_ns": MonotonicNs(1_250_000_000),
    }
    return GatewayCall(**{**values, **changes})


def _value(metrics: GatewayMetrics, name: str, **labels: str) -> float | None:
    if "tenant" in labels:
        labels = {"tier": "", **labels}
    return metrics.registry.get_sample_value(name, labels)


def test_call() -> None:
    """A call is counted, its duration and TTFT_caller observed in seconds."""
    metrics = GatewayMetrics()
    metrics.call_started()
    assert _value(metrics, Metrics.CALLS_OPEN.name) == 1
    metrics.call_ended(_call(tier="gold"))
    assert _value(metrics, Metrics.CALLS_OPEN.name) == 0
    who = {"model": "m", "tenant": "acme", "tier": "gold"}
    counted = {**who, "route": "/v1/completions", "outcome": "finished", "status_code": "200"}
    assert _value(metrics, Metrics.CALLS.name, **counted) == 1
    assert _value(metrics, Metrics.CALL_DURATION.name + "_sum", **who) == 2.0
    assert _value(metrics, Metrics.TTFT_CALLER.name + "_sum", **who) == 0.25


def test_ttft_is_of_streams() -> None:
    """A whole answer has no time to first content that users of streams would compare."""
    metrics = GatewayMetrics()
    metrics.call_ended(_call(stream=False))
    assert _value(metrics, Metrics.TTFT_CALLER.name + "_count", model="m", tenant="acme") is None


def test_invented_models_share_a_label() -> None:
    """Names that were never served do not become labels; served ones do, up to a limit."""
    metrics = GatewayMetrics()
    for number in range(3 * MAX_MODELS):
        refused = {"outcome": "failed", "status_code": 404, "first_content_ns": None}
        metrics.call_ended(_call(model=f"invented-{number}", **refused))
    metrics.call_ended(_call(model="real"))
    name = Metrics.CALL_DURATION.name + "_count"
    assert _value(metrics, name, model=OTHER_TENANT, tenant="acme") == 3 * MAX_MODELS
    assert _value(metrics, name, model="real", tenant="acme") == 1
    metrics.call_ended(_call(model="real", outcome="failed", first_content_ns=None))
    assert _value(metrics, name, model="real", tenant="acme") == 2
    for number in range(MAX_MODELS + 5):
        metrics.call_ended(_call(model=f"served-{number}"))
    assert _value(metrics, name, model=OTHER_TENANT, tenant="acme") == 3 * MAX_MODELS + 6


def test_tenants_are_capped() -> None:
    """Past 200 tenants the rest share one label."""
    metrics = GatewayMetrics()
    for number in range(203):
        metrics.call_ended(_call(tenant=f"t{number}"))
    assert (
        _value(metrics, Metrics.CALL_DURATION.name + "_count", model="m", tenant=OTHER_TENANT) == 3
    )


def test_attempts_and_breakers() -> None:
    """Attempts are counted by how they ended; a breaker shows its state and its changes."""
    metrics = GatewayMetrics()
    stamps = (MonotonicNs(1), MonotonicNs(2))
    metrics.attempt_ended(
        Attempt("c", TRACE, "s", 1, "engine-a", *stamps, "failed", error_class="timeout")
    )
    labels = {"upstream": "engine-a", "outcome": "failed", "error_class": "timeout"}
    assert _value(metrics, Metrics.ATTEMPTS.name, **labels) == 1
    metrics.breaker_known("engine-a")
    assert _value(metrics, Metrics.BREAKER_OPEN.name, upstream="engine-a") == 0
    for state, is_open in (("open", 1), ("half_open", 0), ("open", 1), ("closed", 0)):
        metrics.breaker("engine-a", state)
        assert _value(metrics, Metrics.BREAKER_OPEN.name, upstream="engine-a") == is_open
    changes = Metrics.BREAKER_TRANSITIONS.name
    assert _value(metrics, changes, upstream="engine-a", state="open") == 2
    assert _value(metrics, changes, upstream="engine-a", state="closed") == 1


async def _get(page: MetricsPage, **headers: str) -> httpx.Response:
    transport = httpx.ASGITransport(page)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        return await client.get("/metrics", headers=headers)


async def test_page_has_exemplars() -> None:
    """OpenMetrics carries the trace id of calls; plain text is served to who asks for it."""
    metrics = GatewayMetrics()
    metrics.call_ended(_call())
    page = MetricsPage(metrics.registry)
    open_metrics = await _get(page, accept="application/openmetrics-text; version=1.0.0")
    ttft = [line for line in open_metrics.text.splitlines() if "ttft_caller_seconds_bucket" in line]
    assert any(f'# {{trace_id="{TRACE}"}} 0.25' in line for line in ttft)
    plain = await _get(page)
    assert plain.headers["content-type"].startswith("text/plain")
    assert "otel_llm_gateway_calls_total" in plain.text


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (None, 401),
        ("Bearer wrong", 401),
        ("secret", 401),
        ("Bearer s\u00e9cret", 401),
        ("Bearer secret", 200),
    ],
)
async def test_page_with_a_token(header: str | None, status: int) -> None:
    """With a token set, only who sends it reads the page."""
    page = MetricsPage(GatewayMetrics().registry, token="secret")
    headers = {} if header is None else {"authorization": header}
    transport = httpx.ASGITransport(page)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        encoded = httpx.Headers(headers, encoding="utf-8")
        assert (await client.get("/metrics", headers=encoded)).status_code == status
