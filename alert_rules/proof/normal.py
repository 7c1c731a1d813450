"""A day on which nothing is wrong: traffic of day and night, noise, and three deploys.

No alert may page on it. Windows are those that are shipped.
"""

import math
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml

from otel_llm.alert_rules.model import Slo, Value
from otel_llm.alert_rules.proof.burns import Story, series
from otel_llm.alert_rules.proof.profile import Piece, counter

PIECE_S = 600.0
DAY_S = 86_400.0
INTERVAL_S = 60.0
DEPLOYS = (36, 75, 120)
"""Pieces that begin with a deploy: counters start anew, and some calls fail for ten minutes."""
DEPLOY_SHARE = 2.0
"""Errors of a deploy, in budgets: a burn rate of two for ten minutes."""

_NODE = 'instance="n1:9464"'
_GPU = f'{_NODE},hw_id="GPU-0",hw_name="H100",hw_type="gpu"'
_SERVICE = f'{_NODE},service_name="chat"'
_SINK = 'sink="clickhouse"'
_GATE = 'instance="g1:8080"'


def story(slo: Slo, rng: random.Random) -> Story:
    """A day of an objective: half a call a second at night, six by day, a third of the budget."""
    told = Story()
    for number in range(round(DAY_S / PIECE_S)):
        rate = _rate(number) * rng.uniform(0.8, 1.2)
        share = slo.budget * rng.uniform(0.0, 0.66)
        if number in DEPLOYS:
            share = slo.budget * DEPLOY_SHARE
        told.append((PIECE_S, rate * (1 - share), rate * share))
    return told


def _rate(number: int) -> float:
    return 3.25 - 2.75 * math.cos(2 * math.pi * number * PIECE_S / DAY_S)


def day(slos: Sequence[Slo], seed: int) -> dict[str, str]:
    """Every series of a day.

    Args:
        slos: objectives.
        seed: of the noise.
    """
    rng = random.Random(seed)  # noqa: S311  noise, not secrets
    made: dict[str, str] = {}
    for slo in slos:
        resets = () if isinstance(slo.indicator, Value) else DEPLOYS
        made |= series(slo, story(slo, rng), INTERVAL_S, resets)
    made |= dict(_steady())
    made |= dict(_grown(rng))
    made |= dict(_wavy(rng))
    return made


def _steady() -> Iterator[tuple[str, str]]:
    """What stays as it is."""
    samples = round(DAY_S / INTERVAL_S)
    values = {
        'up{job="otel-llm-gateway",instance="g1:8080"}': 1,
        'up{job="otel-llm-agent",instance="n1:9464"}': 1,
        'up{job="otel-llm-store",instance="s1:4318"}': 1,
        f'hw_status{{{_GPU},hw_state="failed"}}': 0,
        f'hw_status{{{_GPU},hw_state="ok"}}': 1,
        f'otel_llm_device_xids_total{{{_GPU},code="31",fault="user"}}': 2,
        f'hw_errors_total{{{_GPU},error_type="ecc_uncorrected"}}': 1,
        f"otel_llm_device_remap_pending{{{_GPU}}}": 0,
        f'otel_llm_device_remapped_rows{{{_GPU},cause="uncorrected"}}': 1,
        f'otel_llm_device_throttled{{{_GPU},reason="sw_power_cap"}}': 1,
        f'otel_llm_device_age_seconds{{{_NODE},source="nvml"}}': 0.2,
        f'hw_gpu_memory_usage_bytes{{{_GPU},mig=""}}': 72_000_000_000,
        f'hw_gpu_memory_limit_bytes{{{_GPU},mig=""}}': 80_000_000_000,
        f"otel_llm_engine_deaths_total{{{_SERVICE}}}": 1,
        f'otel_llm_engine_up{{{_SERVICE},instance_id="i"}}': 1,
        f"otel_llm_hooks_left_out{{{_SERVICE}}}": 0,
        'up{job="otel-llm-engine",instance="e1:8000"}': 1,
        f'otel_llm_engine_stalled_seconds{{{_SERVICE},instance_id="i"}}': 12,
        f'otel_llm_kernel_shims{{{_NODE},state="on"}}': 8,
        f'otel_llm_kernel_shims{{{_NODE},state="stopped"}}': 0,
        'otel_llm_up_certificate_not_after_seconds{instance="s1:4318"}': 7_776_000,
        f'otel_llm_agent_spool_bytes{{{_NODE},sink="clickhouse"}}': 4096,
        f'otel_llm_agent_lost_records_total{{{_NODE},reason="overwritten"}}': 0,
        f'otel_llm_gateway_breaker_open{{{_GATE},upstream="e2"}}': 0,
    }
    for name, value in values.items():
        yield name, f"{value}x{samples}"


def _grown(rng: random.Random) -> Iterator[tuple[str, str]]:
    """Counters that follow traffic; a deploy starts those of the gateway and its engines anew."""
    factors = {
        f'otel_llm_gateway_attempts_total{{{_GATE},upstream="e1",outcome="finished"}}': 0.5,
        f'otel_llm_gateway_attempts_total{{{_GATE},upstream="e2",outcome="finished"}}': 0.5,
        f'otel_llm_gateway_attempts_total{{{_GATE},upstream="e2",outcome="failed"}}': 0.01,
        f'otel_llm_step_duration_seconds_count{{{_SERVICE},model="m"}}': 20.0,
        f'otel_llm_step_duration_seconds_sum{{{_SERVICE},model="m"}}': 0.16,
        f'otel_llm_kernel_records_total{{{_NODE},kind="kernel"}}': 9000.0,
        f'otel_llm_kernel_lost_total{{{_NODE},reason="dropped_by_cupti"}}': 2.0,
        f'otel_llm_step_batch_size_count{{{_SERVICE},model="m"}}': 20.0,
        f'otel_llm_step_batch_size_sum{{{_SERVICE},model="m"}}': 240.0,
        f'otel_llm_requests_total{{{_SERVICE},model="m",tenant="acme",outcome="finished"}}': 1.0,
        f'otel_llm_preemptions_total{{{_SERVICE},model="m"}}': 0.02,
        f'otel_llm_tokens_total{{{_SERVICE},model="m",tenant="acme",type="prompt"}}': 500.0,
        f'otel_llm_tokens_total{{{_SERVICE},model="m",tenant="acme",type="cached"}}': 200.0,
        f'otel_llm_agent_records_total{{{_NODE},kind="StepDone"}}': 20.0,
        f'otel_llm_agent_delivered_total{{{_NODE},sink="clickhouse"}}': 25.0,
        f'otel_llm_agent_delivery_failures_total{{{_NODE},{_SINK},reason="timeout"}}': 0.01,
    }
    for name, factor in factors.items():
        pieces = [
            Piece(PIECE_S, factor * _rate(number) * rng.uniform(0.9, 1.1), number in DEPLOYS)
            for number in range(round(DAY_S / PIECE_S))
        ]
        yield name, counter(pieces, INTERVAL_S)


def _wavy(rng: random.Random) -> Iterator[tuple[str, str]]:
    """Gauges that follow traffic."""
    most = {
        f"otel_llm_requests_open{{{_SERVICE}}}": 20.0,
        f"otel_llm_running{{{_SERVICE}}}": 18.0,
        f"otel_llm_waiting{{{_SERVICE}}}": 3.0,
        f"otel_llm_kv_usage_ratio{{{_SERVICE}}}": 0.8,
        f"hw_gpu_utilization_ratio{{{_GPU}}}": 0.9,
    }
    samples = round(DAY_S / INTERVAL_S)
    for name, peak in most.items():
        values = [
            peak * _rate(round(number * INTERVAL_S / PIECE_S)) / 6 * rng.uniform(0.7, 1.0)
            for number in range(samples)
        ]
        yield name, " ".join(f"{value:.3g}" for value in values)


def promtool(slos: Sequence[Slo], seed: int, rule_files: Sequence[Path]) -> str:
    """A unit test of promtool: over the whole day nothing pages, and the dead man's switch fires.

    Args:
        slos: objectives.
        seed: of the noise.
        rule_files: every generated rule file that is loaded.
    """
    firing = 'ALERTS{alertstate="firing",severity="critical"}'
    test = {
        "name": f"a normal day, seed {seed}",
        "interval": "1m",
        "input_series": [
            {"series": name, "values": values} for name, values in day(slos, seed).items()
        ],
        "promql_expr_test": [
            {
                "expr": f"count(count_over_time({firing}[1d])) or vector(0)",
                "eval_time": "1d",
                "exp_samples": [{"labels": "{}", "value": 0}],
            },
            {
                "expr": 'count(ALERTS{alertstate="firing",severity="none"})',
                "eval_time": "1d",
                "exp_samples": [{"labels": "{}", "value": 1}],
            },
        ],
    }
    data = {
        "rule_files": [str(path) for path in rule_files],
        "evaluation_interval": "1m",
        "tests": [test],
    }
    text: str = yaml.safe_dump(data, sort_keys=False, width=1_000_000)
    return text
