"""Facts for tests. Numbers are deliberately odd, so that a mixed-up field cannot pass."""

import msgspec

from otel_llm.clock import Anchor, EpochNs, MonotonicNs
from otel_llm.facts import (
    PHASE_DECODE,
    PHASE_PREFILL,
    Attempt,
    GatewayCall,
    GatewayCallStarted,
    Producer,
    RequestArrived,
    RequestDelivered,
    RequestFinished,
    StepDone,
    StepKernels,
    StepScheduled,
)

ENGINE_ID = "e" * 32
FRONTEND_ID = "f" * 32
GATEWAY_ID = "a" * 32
TRACE_ID = "0123456789abcdef0123456789abcdef"
ATTEMPT_SPAN_ID = "00f067aa0ba902b7"
SERVER_SPAN_ID = "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE_ID}-{ATTEMPT_SPAN_ID}-01"
TRACESTATE = "otelllm=t:acme;p:gold;a:2"
WALL_NS = 1_700_000_000_000_000_000
T0 = 1_000_000_000

ENGINE = Producer(
    kind="engine",
    instance_id=ENGINE_ID,
    boot_id="boot-1",
    time_namespace=1,
    service="chat-prod",
    host="node-7",
    engine="reference",
    engine_version="0.1",
    model="tiny",
    dp_rank=3,
)
FRONTEND = msgspec.structs.replace(ENGINE, kind="frontend", instance_id=FRONTEND_ID, dp_rank=0)
GATEWAY = Producer(
    kind="gateway",
    instance_id=GATEWAY_ID,
    boot_id="boot-1",
    time_namespace=1,
    service="edge",
    host="node-7",
    engine="otel-llm",
    engine_version="0.1",
)


def at(milliseconds: float) -> MonotonicNs:
    """A monotonic stamp so many milliseconds after T0."""
    return MonotonicNs(T0 + round(milliseconds * 1_000_000))


def anchor(milliseconds: float = 0, wall_step_ns: int = 0, error_ns: int = 41) -> Anchor:
    """Both clocks at a moment; the wall clock may have been set by `wall_step_ns`."""
    mono = at(milliseconds)
    return Anchor(EpochNs(WALL_NS + mono - T0 + wall_step_ns), mono, error_ns)


def wall(milliseconds: float) -> EpochNs:
    """The wall time of `at`, by a clock that was not set."""
    return EpochNs(WALL_NS + round(milliseconds * 1_000_000))


def arrived(index: int = 1, milliseconds: float = 0, **changes: object) -> RequestArrived:
    """A request of 11 prompt tokens, sent by a gateway."""
    values: dict[str, object] = {
        "index": index,
        "request_id": f"req-{index}",
        "api_request_id": f"api-{index}",
        "operation": "chat",
        "model": "tiny",
        "arrival_ns": at(milliseconds),
        "prompt_tokens": 11,
        "max_tokens": 17,
        "traceparent": TRACEPARENT,
        "tracestate": TRACESTATE,
    }
    return RequestArrived(**{**values, **changes})  # type: ignore[arg-type]


def finished(index: int = 1, milliseconds: float = 0, **changes: object) -> RequestFinished:
    """It queued 2 ms, ran its prefill 5 ms and made 5 tokens in 20 ms more."""
    values: dict[str, object] = {
        "index": index,
        "outcome": "finished",
        "finish_reason": "stop",
        "finished_ns": at(milliseconds + 31),
        "queued_ns": at(milliseconds + 1),
        "scheduled_ns": at(milliseconds + 3),
        "first_token_ns": at(milliseconds + 8),
        "first_output_ns": at(milliseconds + 9),
        "last_token_ns": at(milliseconds + 28),
        "cached_tokens": 4,
        "output_tokens": 5,
    }
    return RequestFinished(**{**values, **changes})  # type: ignore[arg-type]


def delivered(index: int = 1, milliseconds: float = 0, **changes: object) -> RequestDelivered:
    """The API server's half of the same request: 0.5 ms before the core, 2 ms after it."""
    values: dict[str, object] = {
        "request_id": f"req-{index}",
        "api_request_id": f"api-{index}",
        "operation": "chat",
        "model": "tiny",
        "arrival_ns": at(milliseconds - 0.5),
        "finished_ns": at(milliseconds + 33),
        "outcome": "finished",
        "finish_reason": "stop",
        "prompt_tokens": 11,
        "output_tokens": 3,
        "first_output_ns": at(milliseconds + 10),
        "max_tokens": 17,
        "traceparent": TRACEPARENT,
        "tracestate": TRACESTATE,
    }
    return RequestDelivered(**{**values, **changes})  # type: ignore[arg-type]


def scheduled(
    seq: int = 1, milliseconds: float = 3, members: tuple[int, ...] = (1,), **changes: object
) -> StepScheduled:
    """A step: its first member prefills 7 tokens after 4 cached ones, the others decode one."""
    values: dict[str, object] = {
        "seq": seq,
        "schedule_ns": at(milliseconds),
        "request_index": list(members),
        "phase": bytes(PHASE_DECODE if place else PHASE_PREFILL for place in range(len(members))),
        "tokens": [1 if place else 7 for place in range(len(members))],
        "context": [20 + place if place else 4 for place in range(len(members))],
        "running": 6,
        "waiting": 2,
        "kv_used": 30,
        "kv_total": 120,
    }
    return StepScheduled(**{**values, **changes})  # type: ignore[arg-type]


def done(seq: int = 1, milliseconds: float = 8, emitted: tuple[int, ...] = (1,)) -> StepDone:
    """A step's result."""
    return StepDone(seq, at(milliseconds), list(emitted), 4_321)


def kernels(seq: int = 1, milliseconds: float = 3.5) -> StepKernels:
    """Three launches of two kernels."""
    return StepKernels(
        seq=seq,
        source="cpu",
        device="cpu:0",
        names=["gemm", "attention"],
        name_index=[0, 1, 0],
        base_ns=at(milliseconds),
        offset_ns=[0, 2_000, 5_000],
        duration_ns=[1_500, 2_500, 700],
    )


def call_started(call_id: str = "c1", milliseconds: float = 0) -> GatewayCallStarted:
    """A call at the gateway."""
    return GatewayCallStarted(
        call_id, TRACE_ID, SERVER_SPAN_ID, at(milliseconds), "/v1/chat/completions", "acme"
    )


def call(call_id: str = "c1", milliseconds: float = 0, **changes: object) -> GatewayCall:
    """A streamed call of 50 ms."""
    values: dict[str, object] = {
        "call_id": call_id,
        "trace_id": TRACE_ID,
        "span_id": SERVER_SPAN_ID,
        "parent_span_id": None,
        "arrival_ns": at(milliseconds),
        "finished_ns": at(milliseconds + 50),
        "method": "POST",
        "route": "/v1/chat/completions",
        "operation": "chat",
        "model": "tiny",
        "tenant": "acme",
        "tier": "gold",
        "outcome": "finished",
        "status_code": 200,
        "stream": True,
        "samples": 2,
        "first_content_ns": at(milliseconds + 12),
        "last_content_ns": at(milliseconds + 47),
        "chunks": 5,
        "inter_chunk_us": [8_000, 9_000, 10_000, 8_500],
        "attempts": 2,
        "response_id": "chatcmpl-1",
        "request_bytes": 321,
        "response_bytes": 1_234,
    }
    return GatewayCall(**{**values, **changes})  # type: ignore[arg-type]


def attempt(call_id: str = "c1", number: int = 2, milliseconds: float = 1) -> Attempt:
    """A try that an upstream answered."""
    return Attempt(
        call_id=call_id,
        trace_id=TRACE_ID,
        span_id=ATTEMPT_SPAN_ID,
        attempt=number,
        upstream="engine-a",
        started_ns=at(milliseconds),
        finished_ns=at(milliseconds + 48),
        outcome="finished",
        status_code=200,
        first_byte_ns=at(milliseconds + 10),
        backoff_ns=5_000,
    )
