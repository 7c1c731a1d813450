"""Energy of devices and requests as rows and columns."""

from collections.abc import Sequence

from otel_llm.exporters.clickhouse.rows.common import (
    ENGINE,
    Columns,
    Row,
    clock_columns,
    engine_columns,
    models,
    taken,
    wall_times,
)
from otel_llm.facts.energy import EnergyWindow, RequestEnergy, StepEnergy

_AMOUNT = {
    **ENGINE,
    "request_index": "index",
    "request_id": "request_id",
    "trace_id": "trace_id",
    "tenant": "tenant.tenant",
    "tier": "tenant.tier",
    "outcome": "outcome",
    "energy_mj": "joules.total_mj",
    "prefill_mj": "joules.prefill_mj",
    "decode_mj": "joules.decode_mj",
    "error_mj": "joules.error_mj",
    "method": "joules.method",
    "sharing": "joules.sharing",
    "scope": "joules.scope",
    "incomplete": "joules.incomplete",
    "source": "device.source",
    "busy": "joules.busy",
    "device_ns": "device_ns",
    "window_ended_ns": "window_ended_ns",
    "window_mj": "window_mj",
}


def ledger_row(fact: EnergyWindow) -> Row:
    """A row of `gpu_energy_ledger`."""
    return {
        "host": fact.host,
        "device": fact.device.id,
        "mig": fact.device.mig,
        "started": fact.anchor.wall(fact.started_ns),
        "ended": fact.anchor.wall(fact.ended_ns),
        "delta_mj": fact.delta_mj,
        "attributed_mj": fact.attributed_mj,
        "idle_mj": fact.idle_mj,
        "unattributed_mj": fact.unattributed_mj,
        "method": fact.method,
        "sharing": fact.sharing,
        "error_mj": fact.error_mj,
        "instances": list(fact.instances),
        "incomplete": fact.incomplete,
        **clock_columns(fact.boot_id, fact.anchor),
        "source": fact.device.source,
        "busy": fact.busy,
        "kind": fact.device.kind,
        "flags": list(fact.flags),
    }


def request_energy_columns(facts: Sequence[RequestEnergy]) -> Columns:
    """Columns of `llm_request_energy`, one entry per amount."""
    return {
        **taken(facts, _AMOUNT),
        **wall_times(facts, {"finished": "finished_ns"}),
        "model": models(facts, "model"),
        "device": [fact.device.mig or fact.device.id for fact in facts],
    }


def step_energy_row(fact: StepEnergy) -> Row:
    """A row of `llm_step_energy`."""
    joules = fact.joules
    return {
        **engine_columns(fact.producer, ""),
        "rank": fact.rank,
        "step_seq": fact.seq,
        "device": fact.device.mig or fact.device.id,
        "started": fact.anchor.wall(fact.started_ns),
        "energy_mj": joules.total_mj,
        "error_mj": joules.error_mj,
        "method": joules.method,
        "scope": joules.scope,
        "busy": joules.busy,
        "source": fact.device.source,
        "device_ns": fact.device_ns,
        "window_ended_ns": fact.window_ended_ns,
        "window_mj": fact.window_mj,
        "incomplete": joules.incomplete,
        **clock_columns(fact.producer.boot_id, fact.anchor),
    }
