"""Energy charged: to requests, and to nobody. Whole millijoules, so that sums are exact.

Made by the agent from readings of devices and steps; see `otel_llm/energy` for how.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec

from otel_llm.clock import Anchor, MonotonicNs
from otel_llm.context import TenantTag
from otel_llm.facts.device import Device
from otel_llm.facts.producer import Producer

Metered = Literal["counter", "integrated", "estimate"]
Shared = Literal["tokens", "busy", "work", "shapley"]
"""`busy`: a step's, which its members share elsewhere; steps by busy time alone."""
Busy = Literal["kernels", "cuda_events", "step_time"]
Scope = Literal["local", "all"]

METERED: tuple[Metered, ...] = ("counter", "integrated", "estimate")
SHARED: tuple[Shared, ...] = ("shapley", "work", "busy", "tokens")
BUSY: tuple[Busy, ...] = ("kernels", "cuda_events", "step_time")
"""Ways, from the best to the weakest."""


class RequestJoules(msgspec.Struct, frozen=True, kw_only=True):
    """What a request was charged, over devices.

    Attributes:
        prefill_mj, decode_mj: in millijoules.
        error_mj: bound of the error of their sum.
        method: the weakest way by which a part of it was metered.
        sharing: the weakest model by which a part of it was shared.
        busy: the weakest source of its steps' busy time.
        scope: `local` if the engine has workers on devices that this node does not meter.
        batch: members of its steps in decode, in the mean by energy; 0 without decode.
        incomplete: facts were lost, or a window was not closed in time.
    """

    prefill_mj: int = 0
    decode_mj: int = 0
    error_mj: int = 0
    method: Metered = "counter"
    sharing: Shared = "work"
    busy: Busy = "kernels"
    scope: Scope = "all"
    batch: float = 0.0
    incomplete: bool = False

    @property
    def total_mj(self) -> int:
        """Prefill and decode, in millijoules."""
        return self.prefill_mj + self.decode_mj


class EnergyWindow(msgspec.Struct, frozen=True, kw_only=True):
    """A device's energy in a window: `delta_mj` is the sum of the three after it, exactly.

    Attributes:
        host, boot_id: the agent's.
        device: whose.
        anchor: clock reading for its times.
        started_ns, ended_ns: in monotonic nanoseconds.
        delta_mj: drawn.
        attributed_mj: charged to requests.
        idle_mj: drawn while no step was on the device.
        unattributed_mj: drawn for work that is no request's.
        method, sharing, busy: how it was metered and shared; the weakest of each. The last two are
            empty without a step.
        error_mj: bound of the error of `delta_mj`.
        instances: ids of the engines with a step in it.
        flags: what was wrong, sorted: those of `otel_llm.energy.meter.Window`, `lost_facts` where
            records of an engine were lost, and `no_activity` where no MIG instance had a step.
    """

    host: str
    boot_id: str
    device: Device
    anchor: Anchor
    started_ns: MonotonicNs
    ended_ns: MonotonicNs
    delta_mj: int
    attributed_mj: int
    idle_mj: int
    unattributed_mj: int
    method: Metered
    sharing: Shared | Literal[""]
    busy: Busy | Literal[""]
    error_mj: int
    instances: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()

    @property
    def incomplete(self) -> bool:
        """Whether facts about it were lost."""
        return bool(self.flags)


class RequestEnergy(msgspec.Struct, frozen=True, kw_only=True):
    """An amount charged to a request on one device; amounts of one request add up.

    Attributes:
        producer: the engine.
        anchor: clock reading for `finished_ns`.
        index, request_id, trace_id, tenant, model: of the request; empty where it is not known.
        outcome: as in `JoinedRequest`; `open` if it has not ended, `unknown` if nothing tells.
        finished_ns: its end, in monotonic nanoseconds; of the last window if it has none.
        device: whose energy.
        joules: the amount.
        device_ns: its part of the time with a step on the device, in nanoseconds.
        window_ended_ns: ends of the windows in which it was charged, in monotonic nanoseconds of
            the device's host.
        window_mj: shape of `window_ended_ns`; what it was charged in each, adding up to the amount.
    """

    producer: Producer
    anchor: Anchor
    index: int
    request_id: str
    trace_id: str
    tenant: TenantTag
    model: str
    outcome: str
    finished_ns: MonotonicNs
    device: Device
    joules: RequestJoules
    device_ns: int
    window_ended_ns: Sequence[int] = ()
    window_mj: Sequence[int] = ()


class StepEnergy(msgspec.Struct, frozen=True, kw_only=True):
    """An amount charged to a step on one device, whose engine is on another node.

    Its members share it where their batch is known: in the store, by the step's identity.

    Attributes:
        producer: the engine, as its worker here tells.
        anchor: clock reading for `started_ns`.
        seq: number of the step.
        rank: the worker's rank.
        device: whose energy.
        started_ns: it began on the device, in monotonic nanoseconds.
        joules: the amount, all of it in `prefill_mj`: phases are the members'.
        device_ns, window_ended_ns, window_mj: as in `RequestEnergy`.
    """

    producer: Producer
    anchor: Anchor
    seq: int
    rank: int
    device: Device
    started_ns: MonotonicNs
    joules: RequestJoules
    device_ns: int
    window_ended_ns: Sequence[int] = ()
    window_mj: Sequence[int] = ()
