"""Facts of energy: lines of the ledger, and amounts of requests and steps."""

from typing import NamedTuple

from otel_llm.agent.energy.device import Closed
from otel_llm.agent.energy.engines import MAX_INDEX, Engine
from otel_llm.agent.energy.registry import Host
from otel_llm.agent.energy.requests import joules_of
from otel_llm.agent.energy.visiting import Visit
from otel_llm.agent.engine_join import EngineJoin
from otel_llm.clock import Anchor, MonotonicNs
from otel_llm.context import TenantTag
from otel_llm.energy.account import Amount
from otel_llm.facts.device import Device
from otel_llm.facts.energy import EnergyWindow, RequestEnergy, RequestJoules, Scope, StepEnergy
from otel_llm.facts.joined import JoinedRequest


def ledger(closed: Closed, host: Host, anchor: Anchor) -> EnergyWindow:
    """The line of a window."""
    row = closed.row
    return EnergyWindow(
        host=host.name,
        boot_id=host.boot_id,
        device=closed.device,
        anchor=anchor,
        started_ns=MonotonicNs(row.started_ns),
        ended_ns=MonotonicNs(row.ended_ns),
        delta_mj=row.delta_mj,
        attributed_mj=row.attributed_mj,
        idle_mj=row.idle_mj,
        unattributed_mj=row.unattributed_mj,
        method=row.method,
        sharing=row.sharing if closed.instances else "",
        busy=row.busy if closed.instances else "",
        error_mj=row.error_mj,
        instances=tuple(sorted(closed.instances)),
        flags=row.flags,
    )


def step(amount: Amount, visit: Visit, device: Device) -> StepEnergy:
    """An amount of a step whose engine is on another node."""
    return StepEnergy(
        producer=visit.producer,
        anchor=visit.anchor,
        seq=visit.seq,
        rank=visit.rank,
        device=device,
        started_ns=MonotonicNs(visit.start_ns),
        joules=joules_of(amount, "local", incomplete=visit.incomplete),
        device_ns=amount.device_ns,
        window_ended_ns=amount.ended_ns,
        window_mj=amount.window_mj,
    )


def held(
    amount: Amount, joules: RequestJoules, fact: JoinedRequest, device: Device
) -> RequestEnergy:
    """An amount of a request that has ended, and the same as joules."""
    return RequestEnergy(
        producer=fact.producer,
        anchor=fact.anchor,
        index=fact.arrived.index,
        request_id=fact.arrived.request_id,
        trace_id=fact.trace.trace_id,
        tenant=fact.tenant,
        model=fact.arrived.model,
        outcome=fact.outcome,
        finished_ns=fact.finished.finished_ns,
        device=device,
        joules=joules,
        device_ns=amount.device_ns,
        window_ended_ns=amount.ended_ns,
        window_mj=amount.window_mj,
    )


class Unended(NamedTuple):
    """Whose a request is that has not ended: its engine, that one's journal, and the scope."""

    engine: Engine
    join: EngineJoin | None
    scope: Scope


def unended(
    amount: Amount, whose: Unended, device: Device, anchor: Anchor, closed_ns: int
) -> RequestEnergy:
    """An amount of a request that has not ended, or of which nothing is known any more."""
    engine, join, scope = whose
    index = amount.request & MAX_INDEX
    request = join.requests.get(index) if join else None
    arrived = request.arrived if request else None
    return RequestEnergy(
        producer=engine.producer,
        anchor=anchor,
        index=index,
        request_id=arrived.request_id if arrived else "",
        trace_id=request.trace.trace_id if request and request.trace else "",
        tenant=request.tenant if request else TenantTag(),
        model=arrived.model if arrived else "",
        outcome="open" if request else "unknown",
        finished_ns=MonotonicNs(closed_ns),
        device=device,
        joules=joules_of(amount, scope),
        device_ns=amount.device_ns,
        window_ended_ns=amount.ended_ns,
        window_mj=amount.window_mj,
    )
