"""The agent's metrics: made from facts, at 0 from the start, within bounds."""

import msgspec
import pytest

from otel_llm.agent.delivery import FAILURE_REASONS
from otel_llm.agent.follow import Reading
from otel_llm.agent.metrics import BREACHES, LOSS_REASONS, AgentMetrics
from otel_llm.agent.spool import Batch, Ended
from otel_llm.clock import MonotonicNs
from otel_llm.context import TenantTag
from otel_llm.conventions import Metrics
from otel_llm.facts import Producer
from otel_llm.facts.joined import (
    Joined,
    JoinedRequest,
    JoinedStep,
    ProducerEvent,
    SpanIds,
    by_kind,
)
from otel_llm.testing import FakeClock
from tests.agent.builders import (
    ENGINE,
    ENGINE_ID,
    FRONTEND,
    GATEWAY,
    TRACE_ID,
    anchor,
    arrived,
    at,
    done,
    finished,
)
from tests.agent.builders import scheduled as schedule

REQUEST = JoinedRequest(
    ENGINE,
    anchor(),
    "finished",
    arrived(),
    finished(recomputed_tokens=6, preemptions=2),
    SpanIds(TRACE_ID, "1" * 16),
    TenantTag("acme", "gold", 2),
)
STEP = JoinedStep(ENGINE, anchor(), "done", schedule(1, 3, (1, 2)), done(1, 8, (1, 0)), at(8))


@pytest.fixture
def metrics() -> AgentMetrics:
    """Fresh metrics."""
    return AgentMetrics(FakeClock(), "boot-1")


def values(metrics: AgentMetrics) -> dict[str, float]:
    """Every sample that is not 0 and not a time of creation, as `name{label=value,…}`."""
    return {
        f"{sample.name}{{{','.join(f'{k}={v}' for k, v in sorted(sample.labels.items()))}}}": (
            sample.value
        )
        for family in metrics.set.registry.collect()
        for sample in family.samples
        if sample.value and not sample.name.endswith("_created") and "_bucket" not in sample.name
    }


def test_a_request(metrics: AgentMetrics) -> None:
    """Counts, tokens and durations; TPOT is over the tokens after the first."""
    metrics.joined(by_kind([REQUEST]))
    who = "model=tiny,service_name=chat-prod,tenant=acme"
    tiered = f"{who},tier=gold"
    genai = (
        "gen_ai_operation_name=chat,gen_ai_provider_name=reference,gen_ai_request_model=tiny,"
        "service_name=chat-prod,tenant=acme,tier=gold"
    )
    assert values(metrics) == {
        "otel_llm_requests_total"
        "{model=tiny,outcome=finished,service_name=chat-prod,tenant=acme}": 1,
        f"otel_llm_tokens_total{{{who},type=prompt}}": 11,
        f"otel_llm_tokens_total{{{who},type=cached}}": 4,
        f"otel_llm_tokens_total{{{who},type=output}}": 5,
        f"otel_llm_tokens_total{{{who},type=recomputed}}": 6,
        "otel_llm_preemptions_total{model=tiny,service_name=chat-prod}": 2,
        f"gen_ai_server_request_duration_seconds_count{{error_type=,{genai}}}": 1,
        f"gen_ai_server_request_duration_seconds_sum{{error_type=,{genai}}}": 0.031,
        f"gen_ai_server_time_to_first_token_seconds_count{{{genai}}}": 1,
        f"gen_ai_server_time_to_first_token_seconds_sum{{{genai}}}": 0.009,
        f"gen_ai_server_time_per_output_token_seconds_count{{{genai}}}": 1,
        f"gen_ai_server_time_per_output_token_seconds_sum{{{genai}}}": 0.005,
        f"otel_llm_queue_time_seconds_count{{{tiered}}}": 1,
        f"otel_llm_queue_time_seconds_sum{{{tiered}}}": 0.002,
        f"otel_llm_prefill_time_seconds_count{{{tiered}}}": 1,
        f"otel_llm_prefill_time_seconds_sum{{{tiered}}}": 0.005,
    }


def test_what_did_not_happen_is_not_observed(metrics: AgentMetrics) -> None:
    """A request cancelled in the queue has a duration, but no TTFT, TPOT, queue or prefill time."""
    end = finished(
        outcome="cancelled", queued_ns=at(1), scheduled_ns=None, first_token_ns=None,
        first_output_ns=None, last_token_ns=None, cached_tokens=0, output_tokens=0,
    )  # fmt: skip
    metrics.joined(by_kind([msgspec.structs.replace(REQUEST, outcome="cancelled", finished=end)]))
    counts = {name for name in values(metrics) if "_count{" in name}
    assert {name.partition("_count")[0] for name in counts} == {
        "gen_ai_server_request_duration_seconds"
    }


@pytest.mark.parametrize("outcome", ["cancelled", "failed", "engine_died"])
def test_only_finished_requests_have_ttft_and_tpot(metrics: AgentMetrics, outcome: str) -> None:
    """Requests that ended badly have a duration with its error, and no part in TTFT and TPOT."""
    end = finished(outcome="failed", error_type="oom")
    metrics.joined(by_kind([msgspec.structs.replace(REQUEST, outcome=outcome, finished=end)]))
    counts = {name for name in values(metrics) if "gen_ai_" in name and "_count{" in name}
    assert counts == {
        "gen_ai_server_request_duration_seconds_count{error_type=oom,gen_ai_operation_name=chat,"
        "gen_ai_provider_name=reference,gen_ai_request_model=tiny,service_name=chat-prod,"
        "tenant=acme,tier=gold}"
    }


def test_one_token_has_no_tpot(metrics: AgentMetrics) -> None:
    """There is no time per token after the first if there was none after the first."""
    end = finished(output_tokens=1, last_token_ns=at(8))
    metrics.joined(by_kind([msgspec.structs.replace(REQUEST, finished=end)]))
    assert not any("per_output_token" in name for name in values(metrics))


def test_exemplars_lead_to_spans(metrics: AgentMetrics) -> None:
    """A sampled request's trace id goes with its observations; an unsampled one leads nowhere."""
    unsampled = SpanIds("9" * 32, "1" * 16, "", sampled=False)
    metrics.joined(by_kind([REQUEST, msgspec.structs.replace(REQUEST, trace=unsampled)]))
    found = {
        str(sample.exemplar.labels["trace_id"])
        for family in metrics.set.registry.collect()
        for sample in family.samples
        if sample.exemplar
    }
    assert found == {TRACE_ID}


def test_a_step(metrics: AgentMetrics) -> None:
    """Duration, batch, tokens by phase, and the load as of now."""
    metrics.joined(by_kind([STEP]))
    assert values(metrics) == {
        "otel_llm_step_duration_seconds_count{model=tiny,service_name=chat-prod}": 1,
        "otel_llm_step_duration_seconds_sum{model=tiny,service_name=chat-prod}": 0.005,
        "otel_llm_step_batch_size_count{model=tiny,service_name=chat-prod}": 1,
        "otel_llm_step_batch_size_sum{model=tiny,service_name=chat-prod}": 2,
        "otel_llm_step_tokens_total{model=tiny,phase=prefill,service_name=chat-prod}": 7,
        "otel_llm_step_tokens_total{model=tiny,phase=decode,service_name=chat-prod}": 1,
        "otel_llm_running{service_name=chat-prod}": 6,
        "otel_llm_waiting{service_name=chat-prod}": 2,
        "otel_llm_kv_usage_ratio{service_name=chat-prod}": 0.25,
    }


def test_every_term_of_an_account(metrics: AgentMetrics) -> None:
    """Rejected and discarded tokens are counted beside those that were of use."""
    end = finished(rejected_tokens=7, discarded_tokens=8)
    metrics.joined(by_kind([msgspec.structs.replace(REQUEST, finished=end)]))
    who = "model=tiny,service_name=chat-prod,tenant=acme"
    assert values(metrics)[f"otel_llm_tokens_total{{{who},type=rejected}}"] == 7
    assert values(metrics)[f"otel_llm_tokens_total{{{who},type=discarded}}"] == 8
    assert all(kind in Metrics.TOKENS.help for kind in ("rejected", "discarded"))


def test_speculation(metrics: AgentMetrics) -> None:
    """Tokens proposed and accepted, of steps whose result told; their ratio is acceptance."""
    step = schedule(1, 3, (1, 2), tokens=[4, 2], drafts=[3, 1])
    told = msgspec.structs.replace(done(1, 8, (3, 1)), accepted=[2, 0])
    silent = done(1, 8, (1, 1))
    metrics.joined(by_kind([msgspec.structs.replace(STEP, scheduled=step, done=told)]))
    metrics.joined(by_kind([msgspec.structs.replace(STEP, scheduled=step, done=silent)]))
    metrics.joined(
        by_kind([msgspec.structs.replace(STEP, scheduled=step, done=None, status="in_flight")])
    )
    name, who = "otel_llm_draft_tokens_total", "model=tiny,service_name=chat-prod"
    assert values(metrics)[f"{name}{{{who},type=proposed}}"] == 4
    assert values(metrics)[f"{name}{{{who},type=accepted}}"] == 2


def test_hooks_left_out(metrics: AgentMetrics) -> None:
    """Shown for the processes of an engine while they live, not for gateways, 0 included."""
    partial = msgspec.structs.replace(FRONTEND, left_out=["a: gone", "b: gone"])
    metrics._engines.show([ENGINE, partial, GATEWAY])
    series = metrics.set.registry.get_sample_value

    def left_out(producer: Producer) -> float | None:
        labels = {"instance_id": producer.instance_id, "service_name": producer.service}
        return series("otel_llm_hooks_left_out", labels)

    assert [left_out(one) for one in (ENGINE, partial, GATEWAY)] == [0, 2, None]
    metrics._engines.show([ENGINE])
    assert [left_out(one) for one in (ENGINE, partial)] == [0, None]


def event(name: str, **changes: object) -> ProducerEvent:
    """Something that happened to an engine."""
    engine = msgspec.structs.replace(ENGINE, **changes)
    return ProducerEvent(engine, anchor(), name, at(0))  # type: ignore[arg-type]


def test_two_engines_of_one_service(metrics: AgentMetrics) -> None:
    """Their load adds up, and goes with the engine that goes."""
    other = msgspec.structs.replace(ENGINE, instance_id="f" * 32)
    step = schedule(1, 3, (1, 2), running=9, waiting=0, kv_used=80, kv_total=80)
    metrics.joined(by_kind([STEP, msgspec.structs.replace(STEP, producer=other, scheduled=step)]))
    shown = values(metrics)
    assert shown["otel_llm_running{service_name=chat-prod}"] == 15
    assert shown["otel_llm_kv_usage_ratio{service_name=chat-prod}"] == pytest.approx(110 / 200)
    metrics.joined(by_kind([event("died")]))
    shown = values(metrics)
    assert shown["otel_llm_running{service_name=chat-prod}"] == 9
    assert shown["otel_llm_engine_deaths_total{service_name=chat-prod}"] == 1


def test_engines_up_and_dead(metrics: AgentMetrics) -> None:
    """1 while it holds its journal, 0 once it is dead, gone when its journal is removed."""
    name = f"otel_llm_engine_up{{instance_id={ENGINE_ID},service_name=chat-prod}}"
    metrics._engines.show([ENGINE])
    assert values(metrics)[name] == 1
    metrics.joined(by_kind([event("stopped")]))
    series = metrics.set.registry.get_sample_value
    labels = {"instance_id": ENGINE_ID, "service_name": "chat-prod"}
    assert series("otel_llm_engine_up", labels) == 0
    assert series("otel_llm_engine_deaths_total", {"service_name": "chat-prod"}) == 0
    metrics.forget([f"engine-{ENGINE_ID}.journal", "engine-unknown.journal"])
    assert series("otel_llm_engine_up", labels) is None


def test_labels_are_bounded(metrics: AgentMetrics) -> None:
    """However many models, tenants and services there are, the page stays small."""
    facts: list[Joined] = [
        msgspec.structs.replace(
            REQUEST,
            producer=msgspec.structs.replace(ENGINE, service=f"s{number}", engine=f"e{number}"),
            arrived=arrived(model=f"m{number}", operation=f"o{number}"),
            finished=finished(error_type=f"x{number}"),
            tenant=TenantTag(f"t{number}"),
        )
        for number in range(300)
    ]
    metrics.joined(by_kind(facts))
    series = [name for name in values(metrics) if name.startswith("otel_llm_requests_total")]
    assert len(series) == 201
    assert values(metrics)[
        "otel_llm_requests_total{model=_other,outcome=finished,service_name=_other,tenant=_other}"
    ] == 100  # fmt: skip
    counts = [name for name in values(metrics) if "request_duration_seconds_count" in name]
    assert len(counts) == 201


def test_unknown_tenants(metrics: AgentMetrics) -> None:
    """Requests that named no tenant are counted."""
    metrics.joined(by_kind([msgspec.structs.replace(REQUEST, tenant=TenantTag()), REQUEST]))
    assert values(metrics)["otel_llm_unknown_tenant_total{}"] == 1


def test_loss_counters_stand_at_zero(metrics: AgentMetrics) -> None:
    """A counter that appears only with its first loss cannot be alerted on."""
    value = metrics.set.registry.get_sample_value
    for reason in LOSS_REASONS:
        assert value("otel_llm_agent_lost_records_total", {"reason": reason}) == 0
    for what in BREACHES:
        assert value("otel_llm_malformed_total", {"what": what}) == 0
    for sink in ("clickhouse", "otlp"):
        for reason in FAILURE_REASONS:
            labels = {"sink": sink, "reason": reason}
            assert value("otel_llm_agent_delivery_failures_total", labels) == 0
    assert value("otel_llm_agent_state_failures_total") == 0
    assert value("otel_llm_unknown_tenant_total") == 0


def test_documented_labels() -> None:
    """The help texts name every reason and every kind of refused value."""
    assert all(reason in Metrics.LOST_RECORDS.help for reason in LOSS_REASONS)
    assert all(what in Metrics.MALFORMED.help for what in BREACHES)


def test_finish_to_row(metrics: AgentMetrics) -> None:
    """Measured at the acknowledgement, for ends stamped in this boot."""
    here = Batch("clickhouse", "llm_requests", 2, b"", Ended("boot-1", [MonotonicNs(500_000_000)]))
    elsewhere = msgspec.structs.replace(here, ended=Ended("boot-0", [MonotonicNs(5)]))
    metrics.delivered(here, refused=0)
    metrics.delivered(elsewhere, refused=0)
    assert values(metrics) == {
        "otel_llm_agent_delivered_total{sink=clickhouse}": 4,
        "otel_llm_agent_finish_to_row_seconds_count{}": 1,
        "otel_llm_agent_finish_to_row_seconds_sum{}": 0.5,
    }


def test_what_becomes_of_batches(metrics: AgentMetrics) -> None:
    """Delivered, partly refused, refused, failed."""
    spans = Batch("otlp", "traces", 10, b"")
    metrics.delivered(spans, refused=3)
    metrics.delivered(spans, refused=99)
    metrics.refused(spans)
    metrics.failed("otlp", "timeout")
    assert values(metrics) == {
        "otel_llm_agent_delivered_total{sink=otlp}": 7,
        "otel_llm_agent_lost_records_total{reason=refused}": 23,
        "otel_llm_agent_delivery_failures_total{reason=timeout,sink=otlp}": 1,
    }


def test_a_reading(metrics: AgentMetrics) -> None:
    """Records by kind, losses, refused values and swallowed errors of a look at a journal."""

    class Journal:
        producer = ENGINE

    reading = Reading([arrived(), anchor()], [], {"corrupt": 2}, {"text": 3}, 4, more=False)
    metrics.read(Journal(), reading)  # type: ignore[arg-type]
    assert values(metrics) == {
        "otel_llm_agent_records_total{kind=RequestArrived}": 1,
        "otel_llm_agent_records_total{kind=Anchor}": 1,
        "otel_llm_agent_lost_records_total{reason=corrupt}": 2,
        "otel_llm_malformed_total{what=text}": 3,
        "otel_llm_swallowed_errors_total{service_name=chat-prod}": 4,
    }
