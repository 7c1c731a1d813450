"""Energy as rows: every column holds its own number. Numbers are odd, so that none can stand in."""

import datetime as dt
from typing import Any

import pyarrow as pa
import pytest

from otel_llm.context import TenantTag
from otel_llm.conventions import Table, Tables
from otel_llm.exporters.clickhouse.rows import encode_blocks
from otel_llm.facts.device import Device
from otel_llm.facts.energy import EnergyWindow, RequestEnergy, RequestJoules, StepEnergy
from otel_llm.facts.joined import Joined
from tests.agent.builders import ENGINE, WALL_NS, anchor, at

DEVICE = Device("GPU-1", "gpu", "nvml", "NVIDIA H100")
JOULES = RequestJoules(
    prefill_mj=31, decode_mj=37, error_mj=7, method="integrated", sharing="tokens",
    busy="cuda_events", scope="local", batch=3.0, incomplete=True,
)  # fmt: skip
PARTS: dict[str, Any] = {
    "device": DEVICE, "joules": JOULES, "device_ns": 41, "window_ended_ns": [11, 13],
    "window_mj": [29, 39],
}  # fmt: skip
WINDOW = EnergyWindow(
    host="node-7", boot_id="boot-1", device=DEVICE, anchor=anchor(), started_ns=at(1),
    ended_ns=at(1001), delta_mj=101, attributed_mj=68, idle_mj=23, unattributed_mj=10,
    method="counter", sharing="work", busy="kernels", error_mj=5, instances=("a", "b"),
    flags=("gap", "lost_facts"),
)  # fmt: skip
REQUEST = RequestEnergy(
    producer=ENGINE, anchor=anchor(), index=3, request_id="r-3", trace_id="t" * 32,
    tenant=TenantTag("acme", "gold", 2), model="tiny", outcome="finished", finished_ns=at(20),
    **PARTS,
)  # fmt: skip
STEP = StepEnergy(producer=ENGINE, anchor=anchor(), seq=17, rank=2, started_ns=at(5), **PARTS)

_CLOCK = {"boot_id": "boot-1", "clock_offset_ns": anchor().offset_ns,
          "clock_error_ns": anchor().error_ns}  # fmt: skip
_ENGINE = {
    "instance_id": ENGINE.instance_id, "service": "chat-prod", "host": "node-7",
    "engine": "reference", "engine_version": "0.1", "model": "tiny", "dp_rank": 3,
}  # fmt: skip
_AMOUNT = {
    "device": "GPU-1", "energy_mj": 68, "error_mj": 7, "method": "integrated",
    "scope": "local", "busy": "cuda_events", "source": "nvml", "incomplete": True,
    "device_ns": 41, "window_ended_ns": [11, 13], "window_mj": [29, 39],
}  # fmt: skip
ROWS: list[tuple[Joined, Table, dict[str, Any]]] = [
    (WINDOW, Tables.ENERGY_LEDGER, {
        "host": "node-7", "device": "GPU-1", "mig": "", "started": 1, "ended": 1001,
        "delta_mj": 101, "attributed_mj": 68, "idle_mj": 23, "unattributed_mj": 10,
        "method": "counter", "sharing": "work", "error_mj": 5, "instances": ["a", "b"],
        "incomplete": True, "source": "nvml", "busy": "kernels", "kind": "gpu",
        "flags": ["gap", "lost_facts"], **_CLOCK,
    }),
    (REQUEST, Tables.REQUEST_ENERGY, {
        **_ENGINE, **_AMOUNT, "request_index": 3, "request_id": "r-3", "trace_id": "t" * 32,
        "tenant": "acme", "tier": "gold", "outcome": "finished", "finished": 20,
        "prefill_mj": 31, "decode_mj": 37, "sharing": "tokens", **_CLOCK,
    }),
    (STEP, Tables.STEP_ENERGY, {
        **_ENGINE, **_AMOUNT, "rank": 2, "step_seq": 17, "started": 5, **_CLOCK,
    }),
]  # fmt: skip


@pytest.mark.parametrize(("fact", "table", "wanted"), ROWS, ids=lambda one: type(one).__name__)
def test_rows(fact: Joined, table: Table, wanted: dict[str, Any]) -> None:
    """Every column of the table, and its value. Times are here in milliseconds after T0."""
    [block] = encode_blocks([fact])
    [row] = pa.ipc.open_stream(block.body).read_all().to_pylist()
    assert block.table is table
    assert {name: _after(value) for name, value in row.items()} == wanted
    assert set(wanted) == set(table.column_names)


def _after(value: Any) -> Any:  # noqa: ANN401  a column's value
    """Milliseconds after T0, of a time."""
    if not isinstance(value, dt.datetime):
        return value
    return (value.value - WALL_NS) // 1_000_000  # type: ignore[attr-defined]  a pandas time
