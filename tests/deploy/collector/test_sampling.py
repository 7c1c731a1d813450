"""Tail sampling with the gateway's file: whole traces, decided with spans that come late."""

import hashlib
import time
from collections.abc import Mapping

import pytest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from tests.collector.decoder.messages import pairs, request_of, span_of, text
from tests.deploy.collector.conftest import MakeTiers, Tiers
from tests.deploy.collector.processes import SAMPLING
from tests.deploy.collector.traffic import Sent, protobuf, rows, send_all
from tests.waiting import until

pytestmark = [pytest.mark.go, pytest.mark.timeout(400)]

SECOND = 10**9
LATE_S = 10
# The same for all spans: how long a trace lasts must not depend on how fast the test runs.
BEGIN = time.time_ns() - 60 * SECOND
# What the engine's span of a trace says; the gateway's span, which comes first, says nothing.
ENGINE: dict[str, dict[str, AnyValue]] = {
    "error": {},
    "slow": {},
    "slow-first-token": {"otel_llm.ttft_caller_s": AnyValue(double_value=2.5)},
    "high-energy": {"otel_llm.energy.total_j": AnyValue(double_value=2500.0)},
    "many-tokens": {"gen_ai.usage.output_tokens": AnyValue(int_value=5000)},
    "plain": {"gen_ai.usage.output_tokens": AnyValue(int_value=50)},
    "plain-too": {"otel_llm.energy.total_j": AnyValue(double_value=20.0)},
}
KEPT = {"error", "slow", "slow-first-token", "high-energy", "many-tokens"}


def span(name: str, part: int, attributes: Mapping[str, AnyValue]) -> Sent:
    """One part of the trace of a name."""
    lasts = 25 if name == "slow" and part == 1 else 1
    failed = name == "error" and part == 1
    made = span_of(
        # Random in each half, as real ones are: the collector remembers decisions by the last eight
        # bytes alone.
        trace_id=hashlib.sha256(name.encode()).digest()[:16],
        span_id=bytes([part + 1]) * 8,
        name=f"part {part}",
        start_time_unix_nano=BEGIN,
        end_time_unix_nano=BEGIN + lasts * SECOND,
        attributes=pairs(dict(attributes)),
        status=Status(code=Status.STATUS_CODE_ERROR if failed else Status.STATUS_CODE_UNSET),
    )
    return protobuf("/v1/traces", request_of(made, **{"service.name": text(name)}))


def parts(tiers: Tiers) -> dict[str, int]:
    """How many spans of each trace are stored."""
    found = [name for row in rows(tiers.data_dir, "otel_traces") for name in ENGINE
             if f'"ServiceName": "{name}"' in row]  # fmt: skip
    return {name: found.count(name) for name in set(found)}


def test_a_trace_is_decided_with_its_late_spans(tiers: MakeTiers) -> None:
    """Errors, slow and costly traces are kept whole, the rest goes, and later spans follow.

    Only a span 10 s late shows which a trace is.
    """
    made = tiers(SAMPLING, gateways=2, KEEP_PERCENT="0")
    begun = time.monotonic()
    send_all(made.url, [span(name, 0, {}) for name in ENGINE], made.token)
    time.sleep(LATE_S)
    assert parts(made) == {}
    send_all(made.url, [span(name, 1, says) for name, says in ENGINE.items()], made.token)
    until(lambda: sum(parts(made).values()) >= 2 * len(KEPT), 60)
    assert time.monotonic() - begun > 25
    assert parts(made) == dict.fromkeys(KEPT, 2)

    send_all(made.url, [span(name, 2, {}) for name in ENGINE], made.token)
    until(lambda: sum(parts(made).values()) >= 3 * len(KEPT), 60)
    time.sleep(3)
    assert parts(made) == dict.fromkeys(KEPT, 3)


def test_a_stopped_gateway_decides_first(tiers: MakeTiers) -> None:
    """A stop, as at an upgrade or a spot preemption, keeps what is to be kept and waits."""
    made = tiers(SAMPLING, KEEP_PERCENT="0")
    send_all(made.url, [span("error", part, {}) for part in (0, 1)], made.token)
    until(lambda: made.gateways[0].counted("otelcol_receiver_accepted_spans") == 2)
    made.gateways[0].stop()
    made.gateways[0].start()
    until(lambda: parts(made) == {"error": 2}, 30)
