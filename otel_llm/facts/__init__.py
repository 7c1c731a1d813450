"""What happened, in numbers, with no telemetry library in sight.

A fact is immutable and complete: spans, rows and metrics are views of it. Facts are msgspec structs
(see ADR 2): they cost a fraction of a frozen dataclass to make and encode themselves.
"""

from otel_llm.facts.gateway import Attempt, GatewayCall, GatewayCallStarted
from otel_llm.facts.kernel import StepGpuTime, StepKernels
from otel_llm.facts.producer import Producer
from otel_llm.facts.request import RequestArrived, RequestDelivered, RequestFinished
from otel_llm.facts.step import PHASE_DECODE, PHASE_PREFILL, StepDone, StepScheduled

__all__ = [
    "PHASE_DECODE",
    "PHASE_PREFILL",
    "Attempt",
    "GatewayCall",
    "GatewayCallStarted",
    "Producer",
    "RequestArrived",
    "RequestDelivered",
    "RequestFinished",
    "StepDone",
    "StepGpuTime",
    "StepKernels",
    "StepScheduled",
]
