"""Reading back what a run left: the agent's page, and rows that stand twice."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from clickhouse_connect.driver.client import Client

from otel_llm.conventions import Metrics
from otel_llm.demo.evidence import judge, lost_records, rows
from otel_llm.exporters.clickhouse.engine import Engine
from otel_llm.exporters.clickhouse.schema import apply
from otel_llm.exporters.prometheus import MetricSet


def test_lost_records_are_summed_over_reasons() -> None:
    """Every reason counts."""
    from prometheus_client import generate_latest

    metrics = MetricSet(["agent"])
    metrics.counter(Metrics.LOST_RECORDS).labels("corrupt").inc(2)
    metrics.counter(Metrics.LOST_RECORDS).labels("overwritten").inc(3)
    assert lost_records(generate_latest(metrics.registry).decode()) == 5


def test_a_page_without_the_counter_says_nothing() -> None:
    """An absent counter is not zero."""
    with pytest.raises(ValueError, match="not on the agent's page"):
        lost_records("")


ROWS = {
    "llm_gateway_calls": "call_id",
    "llm_attempts": "call_id",
    "llm_requests": "instance_id",
    "llm_kernels": "instance_id",
    "llm_engine_events": "instance_id",
    "otel_traces": "SpanId",
}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Client]:
    """The real schema with one row in each table."""
    engine = Engine(tmp_path / "data")
    client = engine.client()
    apply(client)
    for table, column in ROWS.items():
        client.command(f"INSERT INTO {table} ({column}) VALUES ('x')")
    client.command("INSERT INTO llm_steps (instance_id, seq, status) VALUES ('x', 0, 'done')")
    yield client
    client.close()
    engine.close()


@pytest.mark.parametrize("table", [*ROWS, "llm_steps"])
def test_a_row_that_stands_twice_is_noticed(store: Client, table: str) -> None:
    """No table may hold a fact twice, and such a run is judged as failed."""
    assert rows(store, "doubled") == []
    assert judge(store, [], 0).passed
    store.command(f"INSERT INTO {table} SELECT * FROM {table}")
    assert rows(store, "doubled") == [{"what": table, "wrong": 1}]
    assert not judge(store, [], 0).passed


@pytest.mark.parametrize(("engine", "owes"), [("reference", True), ("vllm", False)])
def test_a_step_without_kernels_is_noticed(store: Client, engine: str, owes: bool) -> None:
    """A finished step of the reference engine whose kernels are missing has lost them.

    vLLM on a CPU has none.
    """
    columns = "instance_id, engine, seq, status"
    store.command(f"INSERT INTO llm_steps ({columns}) VALUES ('x', '{engine}', 7, 'done')")
    missing = [{"what": "steps without kernels", "wrong": 1}]
    assert rows(store, "doubled") == (missing if owes else [])


def test_lost_records_fail_a_run(store: Client) -> None:
    """A loss the agent counts is enough."""
    assert not judge(store, [], 1).passed
