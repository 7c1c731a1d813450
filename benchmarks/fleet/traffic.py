"""What each node of the fleet sends, second by second, made before anything is measured."""

import math
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from clickhouse_connect.driver.client import Client

from benchmarks.dashboards import large_fill
from benchmarks.ingest.load import request
from benchmarks.store import blocks
from benchmarks.store.fill import INSTANCES, Size, fill, insert, open_store
from otel_llm.conventions import Table, Tables
from otel_llm.sizing.model import Plan

PLAN = Plan(gpus=8000, calls_per_s=12_000)
"""The fleet: `docs/sizing.md` has its other figures. No span is left out, sampling is not run."""
NODES = PLAN.gpus // PLAN.gpus_per_node
CALLS = int(PLAN.calls_per_s / NODES)
"""Calls that a node's engines serve in a second."""
SPANS = int(CALLS * PLAN.spans_per_call)
OF_NODES = {
    Tables.STEPS: int(PLAN.steps_per_s), Tables.REQUESTS: CALLS, Tables.REQUEST_ENERGY: CALLS,
    Tables.POWER: PLAN.gpus_per_node, Tables.ENERGY_LEDGER: PLAN.gpus_per_node,
}  # fmt: skip
"""Rows of a node's agent in a second, by table."""


class Second(NamedTuple):
    """What one agent sends in a second.

    Attributes:
        blocks: table and Arrow stream.
        spans: an OTLP request; empty for none.
    """

    blocks: list[tuple[str, bytes]]
    spans: bytes


Sender = list[Second]
"""All seconds of one agent."""


def gateways(nodes: int) -> int:
    """Agents on gateways' nodes for so many nodes with GPUs."""
    return math.ceil(nodes * CALLS / PLAN.gateway_calls_per_s)


def of_gateways(nodes: int) -> dict[Table, int]:
    """Rows of a gateway's agent in a second, by table."""
    calls = round(nodes * CALLS / gateways(nodes))
    return {Tables.CALLS: calls, Tables.ATTEMPTS: round(calls * PLAN.attempts_per_call)}


def made(folder: Path, base_ns: int, nodes: int, seconds: int) -> list[Sender]:
    """All agents of so many nodes, those of gateways last. No two blocks have a row in common.

    Args:
        folder: for a store that the rows come from; empty.
        base_ns: when the rows' time begins, in wall nanoseconds.
        nodes: nodes with GPUs.
        seconds: how long they send.
    """
    folder.mkdir(parents=True)
    (folder / "base_ns").write_text(str(base_ns), encoding="utf-8")
    agents = ((OF_NODES, nodes, SPANS), (of_gateways(nodes), gateways(nodes), 0))
    with closing(open_store(folder)) as client:
        size = Size(_steps(nodes, seconds), base_ns)
        fill(client, size, lambda _: None, folder / "fill_s.json")
        for instance in range(INSTANCES):
            rows = -(-nodes * seconds * PLAN.gpus_per_node // INSTANCES)
            insert(client, size, Path(__file__).with_name("power.sql"), rows, instance=instance)
    large_fill.fill(folder)
    with closing(open_store(folder)) as client:
        return [
            sender
            for tables, count, spans in agents
            for sender in _senders(client, tables, count, seconds, spans)
        ]


def _steps(nodes: int, seconds: int) -> int:
    """Steps of a store with rows enough in each table: one for ten has a request.

    Its ledger has a row for each second of each instance, in which there are 15 steps. It has 20
    attempts for 19 requests, which are made eight at a time.
    """
    attempts = of_gateways(nodes)[Tables.ATTEMPTS] * gateways(nodes)
    requests = max(CALLS * nodes, math.ceil(attempts * 19 / 20))
    steps = max(10 * requests, 15 * PLAN.gpus_per_node * nodes) * seconds
    return -(-steps // 80) * 80


def _senders(
    client: Client, tables: dict[Table, int], count: int, seconds: int, spans: int
) -> list[Sender]:
    bodies = {
        table.name: blocks.cut(client, table, rows, count * seconds)
        for table, rows in tables.items()
    }
    return [
        [
            Second(
                [(name, each[number * seconds + second]) for name, each in bodies.items()],
                request(spans) if spans else b"",
            )
            for second in range(seconds)
        ]
        for number in range(count)
    ]
