"""What a call is measured against."""

import pytest

from otel_llm.clock import MonotonicNs
from otel_llm.conventions import Metrics
from otel_llm.facts.gateway import GatewayCall
from otel_llm.gateways.metrics import GatewayMetrics
from otel_llm.gateways.targets import Targets
from otel_llm.settings import Settings

S = 1_000_000_000


def call(**changes: object) -> GatewayCall:
    """A stream: first content after 0.5 s, 11 tokens over 1 s, 2 s in all."""
    values: dict[str, object] = {
        "call_id": "c", "trace_id": "t", "span_id": "s", "parent_span_id": None,
        "arrival_ns": MonotonicNs(S), "finished_ns": MonotonicNs(3 * S), "method": "POST",
        "route": "/v1/completions", "operation": "text_completion", "model": "m",
        "tenant": "acme", "tier": "gold", "outcome": "finished", "status_code": 200,
        "stream": True, "first_content_ns": MonotonicNs(S * 3 // 2),
        "last_content_ns": MonotonicNs(S * 5 // 2), "output_tokens": 11,
    }  # fmt: skip
    return GatewayCall(**{**values, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("targets", "missed"),
    [
        (Targets(), "none"),
        (Targets(0.5, 0.1, 2.0), "none"),
        (Targets(0.49, 0.1, 2.0), "ttft"),
        (Targets(0.5, 0.099, 2.0), "tpot"),
        (Targets(0.5, 0.1, 1.99), "duration"),
        (Targets(0.49, 0.099, 1.99), "ttft"),
    ],
)
def test_the_first_target_that_is_missed(targets: Targets, missed: str) -> None:
    """A call on the target has met it; one above misses it, and the first one counts."""
    assert targets.missed(call()) == missed


def test_what_cannot_be_told_is_not_held_against_a_call() -> None:
    """An answer in one piece has no TTFT, a stream without usage no TPOT."""
    tight = Targets(0.001, 0.001)
    assert tight.missed(call(stream=False)) == "none"
    assert Targets(0, 0.001).missed(call(output_tokens=None)) == "none"
    assert Targets(0, 0.001).missed(call(output_tokens=1)) == "none"


@pytest.mark.parametrize("outcome", ["failed", "shed"])
def test_a_bad_end_misses(outcome: str) -> None:
    """A call that was not answered is no good call, whatever the targets."""
    assert Targets().missed(call(outcome=outcome, status_code=503)) == "outcome"


def test_the_callers_own_doing_is_not_measured() -> None:
    """Calls given up or asked wrongly are counted nowhere; too many requests are."""
    assert Targets().missed(call(outcome="cancelled")) is None
    assert Targets().missed(call(outcome="failed", status_code=404)) is None
    assert Targets().missed(call(outcome="shed", status_code=429)) == "outcome"


def test_the_counter() -> None:
    """Calls are counted by what they missed, with model, tenant and tier."""
    metrics = GatewayMetrics(targets=Targets.of(Settings(target_ttft_s=0.4)))
    metrics.call_started()
    metrics.call_ended(call())
    who = {"model": "m", "tenant": "acme", "tier": "gold"}
    name = Metrics.TARGET_CALLS.name
    assert metrics.registry.get_sample_value(name, {**who, "missed": "ttft"}) == 1
    assert metrics.registry.get_sample_value(name, {**who, "missed": "none"}) is None
