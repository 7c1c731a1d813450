"""What may stand in a journal: one record kind per fact event, encoded as msgpack arrays.

A kind's number is part of the file format. New fields go at the end of a fact, with a default, so
that older and newer writers and readers understand each other.
"""

from typing import TypeAlias

import msgspec

from otel_llm.clock import Anchor
from otel_llm.facts.gateway import Attempt, GatewayCall, GatewayCallStarted
from otel_llm.facts.kernel import StepGpuTime, StepKernels
from otel_llm.facts.request import RequestArrived, RequestDelivered, RequestFinished
from otel_llm.facts.step import StepDone, StepScheduled

Record: TypeAlias = (
    Anchor
    | RequestArrived
    | RequestFinished
    | StepScheduled
    | StepDone
    | StepKernels
    | GatewayCallStarted
    | GatewayCall
    | Attempt
    | RequestDelivered
    | StepGpuTime
)

KINDS: dict[int, type[msgspec.Struct]] = {
    1: Anchor,
    2: RequestArrived,
    3: RequestFinished,
    4: StepScheduled,
    5: StepDone,
    6: StepKernels,
    7: GatewayCallStarted,
    8: GatewayCall,
    9: Attempt,
    10: RequestDelivered,
    11: StepGpuTime,
}
KIND_OF: dict[type[msgspec.Struct], int] = {record: kind for kind, record in KINDS.items()}
