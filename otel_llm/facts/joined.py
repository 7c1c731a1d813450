"""Facts as the agent joined them: what a row and a span are made from.

A joined fact carries the one anchor that turns all its monotonic stamps into wall time, so a step
of the wall clock in the middle of a request changes none of its durations.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import msgspec

from otel_llm.clock import Anchor, EpochNs, MonotonicNs
from otel_llm.context import TenantTag
from otel_llm.facts.device import Device, DeviceEvent, DeviceSample
from otel_llm.facts.energy import EnergyWindow, RequestEnergy, RequestJoules, StepEnergy
from otel_llm.facts.gateway import Attempt, CallOutcome, GatewayCall
from otel_llm.facts.identity import Identity
from otel_llm.facts.kernel import StepKernels
from otel_llm.facts.producer import Producer
from otel_llm.facts.request import (
    RequestArrived,
    RequestDelivered,
    RequestFinished,
    RequestOutcome,
)
from otel_llm.facts.step import PHASE_PREFILL, StepDone, StepScheduled

JoinedRequestOutcome: TypeAlias = RequestOutcome | Literal["engine_died"]
JoinedCallOutcome: TypeAlias = CallOutcome | Literal["gateway_died"]
StepStatus = Literal["done", "in_flight", "unknown"]
ProducerEventName = Literal["started", "stopped", "died", "importing", "imported"]


class SpanIds(msgspec.Struct, frozen=True, array_like=True):
    """Where a fact stands in a trace.

    Attributes:
        trace_id: 32 hex digits.
        span_id: 16 hex digits.
        parent_span_id: 16 hex digits; empty at a trace's root.
        sampled: whether a span is made of it.
    """

    trace_id: str
    span_id: str
    parent_span_id: str = ""
    sampled: bool = True


class Resumption(msgspec.Struct, frozen=True, array_like=True):
    """A step that took a request in again after a preemption.

    Attributes:
        step_seq: the step.
        at_ns: when it was scheduled, in monotonic nanoseconds.
        context: tokens of the request that were still computed.
    """

    step_seq: int
    at_ns: MonotonicNs
    context: int


class JoinedRequest(msgspec.Struct, frozen=True):
    """A request from arrival to end.

    Attributes:
        producer: the engine.
        anchor: clock reading of the arrival.
        outcome: how it ended; `finished.outcome` knows nothing of an engine's death.
        arrived: its arrival; stands with what is known where the record was lost.
        finished: its end; put together from its steps where the engine died.
        trace: its span's ids.
        tenant: what the gateway said of the caller.
        incomplete: facts about it were lost.
        resumed: the steps that took it in again after preemptions, as far as seen.
        delivered_tokens: output tokens that the API server handed on; None where that is the core
            itself, or its half of the request is not known.
        energy: what it was charged by the time it is told; None where no device of its engine is
            metered. What comes later is told in amounts alone.
    """

    producer: Producer
    anchor: Anchor
    outcome: JoinedRequestOutcome
    arrived: RequestArrived
    finished: RequestFinished
    trace: SpanIds
    tenant: TenantTag = TenantTag()
    incomplete: bool = False
    resumed: tuple[Resumption, ...] = ()
    delivered_tokens: int | None = None
    energy: RequestJoules | None = None


class JoinedDelivery(msgspec.Struct, frozen=True):
    """The API server's half of a request. The agent pairs it with the core's; it gets no row alone.

    Attributes:
        producer: the API server's process.
        anchor: clock reading of its end.
        index: number of the record in its journal, from 1.
        delivered: the half.
        trace: ids of the request's span, used where the core's half never comes.
        tenant: what the gateway said of the caller.
    """

    producer: Producer
    anchor: Anchor
    index: int
    delivered: RequestDelivered
    trace: SpanIds
    tenant: TenantTag = TenantTag()


class JoinedStep(msgspec.Struct, frozen=True):
    """A step with its result, if there is one.

    Attributes:
        producer: the engine.
        anchor: clock reading of the schedule.
        status: `in_flight` when the engine died, `unknown` if its result was lost.
        scheduled: the batch.
        done: the result; None unless status is `done`.
        ended_ns: the result was in, or the engine's last sign of life.
        trace: its span's ids; None if it gets no span.
        links: ids of its members' request spans; empty if it gets no span.
        links_dropped: members' request spans beyond the limit of links.
        parts: shape (members,); millionths of the step's energy that are each member's, where
            the energy of some of its ranks is joined in the store; else empty.
    """

    producer: Producer
    anchor: Anchor
    status: StepStatus
    scheduled: StepScheduled
    done: StepDone | None
    ended_ns: MonotonicNs
    trace: SpanIds | None = None
    links: tuple[SpanIds, ...] = ()
    links_dropped: int = 0
    parts: Sequence[int] = ()

    @property
    def tokens_by_phase(self) -> tuple[int, int]:
        """Tokens scheduled for prefill and for decode."""
        batch = zip(self.scheduled.phase, self.scheduled.tokens, strict=True)
        prefill = sum(tokens for phase, tokens in batch if phase == PHASE_PREFILL)
        return prefill, sum(self.scheduled.tokens) - prefill


class JoinedKernels(msgspec.Struct, frozen=True):
    """The kernels of a step; `step` holds the ids of the step's span, None if it has none.

    `incomplete` says that facts about them were lost; `summed`, that the step's sums are a fact of
    their own, so that none are made of these.
    """

    producer: Producer
    anchor: Anchor
    kernels: StepKernels
    step: SpanIds | None = None
    incomplete: bool = False
    summed: bool = False


class StepKernelSums(msgspec.Struct, frozen=True, kw_only=True):
    """What the kernels of a step add up to on one device; see `otel_llm.kernels.analysis`.

    Attributes:
        producer: the engine.
        anchor: clock reading for `base_ns`.
        seq: number of the step; 0 for kernels of none.
        source: who measured.
        device: the device's name or UUID.
        base_ns: its first kernel began, in monotonic nanoseconds.
        span_ns: from there to the end of its last kernel.
        busy_ns: of that, with a kernel running.
        launch_gap_ns: of that, idle because nothing was launched yet.
        wait_gap_ns: of that, idle although work was launched.
        overlap_ns: of that, computing and communicating at once.
        classes: classes of its kernels, each once.
        kernels: shape (classes,); kernels of each class.
        kernel_ns: shape (classes,); their durations, summed.
        rank: the worker's rank in its engine.
        incomplete: facts about it were lost.
        bound: `busy_ns` is the most it can be, and `overlap_ns` is not known: not every kernel was
            told one by one. So it is with source `cuda_event`, whose time has no classes either.
    """

    producer: Producer
    anchor: Anchor
    seq: int
    source: str
    device: str
    base_ns: MonotonicNs
    span_ns: int
    busy_ns: int
    launch_gap_ns: int
    wait_gap_ns: int
    overlap_ns: int
    classes: list[str]
    kernels: list[int]
    kernel_ns: list[int]
    rank: int = 0
    incomplete: bool = False
    bound: bool = False


class KernelTotals(msgspec.Struct, frozen=True, kw_only=True):
    """Kernels of a device that began within ten seconds of the wall clock, by name.

    There may be several for the same ten seconds; they add up.

    Attributes:
        producer: the engine.
        source: who measured.
        device: the device's name or UUID.
        time_ns: the ten seconds begin, in wall nanoseconds.
        names: names, each once.
        classes: shape (names,); the class of each.
        kernels: shape (names,); how many.
        total_ns: shape (names,); their durations, summed.
        min_ns: shape (names,); the shortest.
        max_ns: shape (names,); the longest.
        rank: the worker's rank in its engine.
    """

    producer: Producer
    source: str
    device: str
    time_ns: EpochNs
    names: list[str]
    classes: list[str]
    kernels: list[int]
    total_ns: list[int]
    min_ns: list[int]
    max_ns: list[int]
    rank: int = 0


class StepKernelNames(msgspec.Struct, frozen=True, kw_only=True):
    """Kernels of a step that was kept in detail, by name; fields as in the two above.

    Attributes:
        kept: why: sample, slow, failed, expensive or import.
        first_ns: shape (names,); the first of each began, in monotonic nanoseconds.
    """

    producer: Producer
    anchor: Anchor
    seq: int
    source: str
    device: str
    kept: str
    names: list[str]
    classes: list[str]
    first_ns: list[MonotonicNs]
    kernels: list[int]
    total_ns: list[int]
    max_ns: list[int]
    rank: int = 0


class JoinedCall(msgspec.Struct, frozen=True):
    """A call at the gateway. `outcome` may be `gateway_died`, which `call.outcome` is not."""

    producer: Producer
    anchor: Anchor
    outcome: JoinedCallOutcome
    call: GatewayCall


class JoinedAttempt(msgspec.Struct, frozen=True):
    """A try at an upstream."""

    producer: Producer
    anchor: Anchor
    attempt: Attempt


class ProducerEvent(msgspec.Struct, frozen=True):
    """Birth or end of an engine, its API server or a gateway.

    Attributes:
        producer: of whom.
        anchor: clock reading nearest to the event.
        event: `died` is an end without a clean close.
        at_ns: when; the last sign of life for `died`, in monotonic nanoseconds.
        steps_in_flight: steps scheduled without a result.
        requests_in_flight: ids of requests or calls not ended.
        lost_records: records of its journal lost so far.
    """

    producer: Producer
    anchor: Anchor
    event: ProducerEventName
    at_ns: MonotonicNs
    steps_in_flight: tuple[int, ...] = ()
    requests_in_flight: tuple[str, ...] = ()
    lost_records: int = 0


class JoinedSample(msgspec.Struct, frozen=True):
    """A reading of a device of the agent's own host."""

    host: str
    boot_id: str
    sample: DeviceSample


class JoinedDevice(msgspec.Struct, frozen=True):
    """What a device of the agent's own host is, and what is known of that host.

    Attributes:
        host: host name.
        boot_id: boot of the host.
        anchor: clock reading of when it was so.
        device: it.
        identity: of the agent's process; a table of devices has what is the machine's of it.
    """

    host: str
    boot_id: str
    anchor: Anchor
    device: Device
    identity: Identity


class JoinedDeviceEvent(msgspec.Struct, frozen=True):
    """What befell a device of the agent's own host."""

    host: str
    boot_id: str
    event: DeviceEvent


Joined: TypeAlias = (
    JoinedRequest
    | JoinedDelivery
    | JoinedStep
    | JoinedKernels
    | StepKernelSums
    | KernelTotals
    | StepKernelNames
    | JoinedCall
    | JoinedAttempt
    | ProducerEvent
    | JoinedSample
    | JoinedDevice
    | JoinedDeviceEvent
    | EnergyWindow
    | RequestEnergy
    | StepEnergy
)

ByKind: TypeAlias = Mapping[type[Joined], Sequence[Any]]
"""Facts by their type, those of each in their order."""


def by_kind(facts: Iterable[Joined]) -> defaultdict[type[Joined], list[Any]]:
    """Facts by their type; of a type that none has there is an empty list."""
    kinds: defaultdict[type[Joined], list[Any]] = defaultdict(list)
    for fact in facts:
        kinds[type(fact)].append(fact)
    return kinds
