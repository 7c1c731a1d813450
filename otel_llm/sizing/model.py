"""From GPUs and calls to rows, bytes, cores, shards and replicas."""

import math
from typing import NamedTuple

from otel_llm.errors import SettingError
from otel_llm.sizing.measured import MEASURED, Measured

DAY_S = 86_400
HEADROOM = 0.5
"""A core is planned to be busy for half of its time, so that peaks and merges have room."""
STEP_BATCH = 31.6
"""Mean batch of the steps whose rows were measured: 20 to 59 requests, of which four in five are in
a step (benchmarks/schema/data.py)."""
GATEWAY_CORES = 2.0
"""Cores of one collector in the gateway tier: the chart's replicas are of this size."""


class Plan(NamedTuple):
    """What is to be observed. Rates are means over a day at its busiest hour's load.

    Attributes:
        gpus: all GPUs.
        calls_per_s: API calls at the gateways, of all engines together.
        gpus_per_engine: GPUs of one engine (tensor, pipeline and expert parallel).
        gpus_per_node: GPUs of one node; a node has one agent.
        output_tokens: mean of a call.
        steps_per_s: of one engine while it is busy.
        attempts_per_call: tries at upstreams.
        spans_per_call: spans of a call and its request; the demo's calls have 5 to 9.
        keep: share of spans that sampling keeps.
        kernels_per_step: kernels of a step on one GPU that are recorded; 0 if none are.
        raw_every: single kernels are written for one step of so many; 0 writes sums alone.
        days: how long rows are kept.
        write_every_s: of an agent, its `batch_interval_s`: a block for each table, so often.
        gateway_calls_per_s: of one gateway process, whose node has an agent.
        shard_cores: cores of one ClickHouse server.
        shard_bytes: disk of one.
    """

    gpus: int
    calls_per_s: float
    gpus_per_engine: int = 8
    gpus_per_node: int = 8
    output_tokens: float = 300.0
    steps_per_s: float = 40.0
    attempts_per_call: float = 1.05
    spans_per_call: float = 7.0
    keep: float = 1.0
    kernels_per_step: int = 0
    raw_every: int = 0
    days: float = 30.0
    write_every_s: float = 1.0
    gateway_calls_per_s: float = 100.0
    shard_cores: int = 16
    shard_bytes: float = 4e12


class Size(NamedTuple):
    """What a plan needs.

    Attributes:
        nodes, engines: as the plan has them.
        batch: mean requests in a step, so that the engines make the calls' tokens.
        rows_per_s: by table.
        inserts_per_s: by table, of agents; spans are gathered on their way.
        bytes_per_day: by table, on disk.
        agent_cores_per_node: reading devices, sharing out joules; `store_cores` has the rest.
        store_cores: making and storing all rows, spans sent straight to the store.
        insert_cores: part of it that INSERTs cost whatever their rows.
        collector_cores: for all spans through the collector, their way into the store included.
        hook_share_of_step: time that hooks add to a step, as a share of it.
        shards: ClickHouse servers, replicas not counted.
        gateways: collectors of the gateway tier.
        span_network_bytes_per_s: OTLP, uncompressed, into each tier.
    """

    nodes: int
    engines: int
    batch: float
    rows_per_s: dict[str, float]
    inserts_per_s: dict[str, float]
    bytes_per_day: dict[str, float]
    agent_cores_per_node: float
    store_cores: float
    insert_cores: float
    collector_cores: float
    hook_share_of_step: float
    shards: int
    gateways: int
    span_network_bytes_per_s: float


def size(plan: Plan, measured: Measured = MEASURED) -> Size:
    """What a plan needs.

    Raises:
        SettingError: a number of the plan cannot be.
    """
    _check(plan)
    engines = math.ceil(plan.gpus / plan.gpus_per_engine)
    rows = _rows(plan, engines)
    batch = plan.calls_per_s * plan.output_tokens / (engines * plan.steps_per_s)
    # A step's row holds its batch, so that a longer one is as much longer.
    longer = {"llm_steps": max(1.0, batch / STEP_BATCH)}
    work = {name: rate * longer.get(name, 1.0) for name, rate in rows.items()}
    daily = {name: rate * measured.tables[name].bytes * DAY_S for name, rate in work.items()}
    cores = {name: rate / measured.tables[name].per_core_s for name, rate in work.items()}
    # The gateways see all spans; sampling is theirs.
    spans = plan.calls_per_s * plan.spans_per_call
    collector_cores = spans / measured.collector_spans_per_core_s
    inserts = _inserts(plan, rows)
    insert_cores = sum(rate * measured.tables[name].insert_s for name, rate in inserts.items())
    store_cores = sum(cores.values()) + insert_cores
    return Size(
        nodes=_nodes(plan),
        engines=engines,
        batch=batch,
        rows_per_s=rows,
        inserts_per_s=inserts,
        bytes_per_day=daily,
        agent_cores_per_node=measured.device_core_share * min(plan.gpus, plan.gpus_per_node) / 8
        + measured.attribution_core_share,
        store_cores=store_cores,
        insert_cores=insert_cores,
        collector_cores=collector_cores,
        hook_share_of_step=_hook_us(batch, measured.hook_step_us) * plan.steps_per_s / 1e6,
        shards=_shards(plan, store_cores, sum(daily.values())),
        # Two at least, so that one may go.
        gateways=max(2, math.ceil(collector_cores / HEADROOM / GATEWAY_CORES)),
        span_network_bytes_per_s=spans * measured.span_wire_bytes,
    )


def _rows(plan: Plan, engines: int) -> dict[str, float]:
    steps = engines * plan.steps_per_s
    ranks = steps * min(plan.gpus, plan.gpus_per_engine) if plan.kernels_per_step else 0.0
    raw = ranks * plan.kernels_per_step / plan.raw_every if plan.raw_every else 0.0
    return {
        "otel_traces": plan.calls_per_s * plan.spans_per_call * plan.keep,
        "llm_gateway_calls": plan.calls_per_s,
        "llm_attempts": plan.calls_per_s * plan.attempts_per_call,
        "llm_requests": plan.calls_per_s,
        "llm_request_energy": plan.calls_per_s,
        "llm_steps": steps,
        "llm_step_kernels": ranks,
        "llm_kernels": raw,
        "gpu_power": float(plan.gpus),
        "gpu_energy_ledger": float(plan.gpus),
    }


def _inserts(plan: Plan, rows: dict[str, float]) -> dict[str, float]:
    """A block for each table that has rows, from each agent, so often as it writes."""
    gateways = math.ceil(plan.calls_per_s / plan.gateway_calls_per_s)
    agents = {name: gateways if name in _OF_GATEWAYS else _nodes(plan) for name in rows}
    del agents["otel_traces"]
    return {name: min(rows[name], count / plan.write_every_s) for name, count in agents.items()}


_OF_GATEWAYS = frozenset({"llm_gateway_calls", "llm_attempts"})


def _nodes(plan: Plan) -> int:
    return math.ceil(plan.gpus / plan.gpus_per_node)


def _shards(plan: Plan, cores: float, bytes_per_day: float) -> int:
    by_cores = cores / (plan.shard_cores * HEADROOM)
    # A fifth of the disk is left to merges.
    by_disk = bytes_per_day * plan.days / (plan.shard_bytes * 0.8)
    return max(1, math.ceil(max(by_cores, by_disk)))


def _hook_us(batch: float, known: dict[int, float]) -> float:
    """Between two measured batches on a straight line; past the largest on the last line."""
    sizes = sorted(known)
    if batch <= sizes[0]:
        return known[sizes[0]]
    upper = next((one for one in sizes if one >= batch), sizes[-1])
    lower = sizes[sizes.index(upper) - 1]
    slope = (known[upper] - known[lower]) / (upper - lower)
    return known[lower] + slope * (batch - lower)


def _check(plan: Plan) -> None:
    for name, value in plan._asdict().items():
        least = 0.0 if name in _MAY_BE_ZERO else 1e-9
        if not least <= value < math.inf:
            problem = f"{value} cannot be"
            raise SettingError(name, problem, "Give a number above 0")
    if plan.keep > 1:
        raise SettingError("keep", f"{plan.keep} is no share", "Give a number from 0 to 1")


_MAY_BE_ZERO = frozenset({"calls_per_s", "keep", "kernels_per_step", "raw_every"})
