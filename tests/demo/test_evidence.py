"""Reading back what a run left: the agent's page, and rows that stand twice."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from clickhouse_connect.driver.client import Client

from otel_llm.conventions import Metrics
from otel_llm.demo.evidence import judge, lost_records, rows
from otel_llm.exporters.prometheus import MetricSet
from tests.stores import opened


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
    with opened(tmp_path / "data") as engine, closing(engine.client()) as client:
        for table, column in ROWS.items():
            client.command(f"INSERT INTO {table} ({column}) VALUES ('x')")
        client.command("INSERT INTO llm_steps (instance_id, seq, status) VALUES ('x', 0, 'done')")
        yield client


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


def test_who_measured_the_kernels_is_what_rows_say(store: Client) -> None:
    """Nobody else than whom the rows name."""
    store.command("TRUNCATE TABLE llm_kernels")
    assert judge(store, [], 0).kernel_sources == []
    for source in ("cupti", "cpu", "cupti"):
        store.command(f"INSERT INTO llm_kernels (source) VALUES ('{source}')")
    assert judge(store, [], 0).kernel_sources == ["cpu", "cupti"]


def test_lost_records_fail_a_run(store: Client) -> None:
    """A loss the agent counts is enough."""
    assert not judge(store, [], 1).passed


LINE = "device, started, ended, delta_mj, attributed_mj, idle_mj, unattributed_mj"
AMOUNT = "instance_id, request_index, energy_mj, prefill_mj, decode_mj, finished"
T = "toDateTime64('2026-01-01 00:00:{:02d}', 9, 'UTC')"


def energy_of(store: Client) -> dict[str, int]:
    """What is wrong with the account."""
    return {row["what"]: row["wrong"] for row in rows(store, "energy_wrong")}


@pytest.fixture
def account(store: Client) -> Client:
    """A request on a device, and an account that closes."""
    store.command("TRUNCATE TABLE llm_requests")
    store.command("TRUNCATE TABLE llm_requests_1m")
    store.command(
        "INSERT INTO llm_requests (instance_id, request_index, scheduled, finished) "
        f"SELECT 'x', 1, {T.format(2)}, {T.format(3)}"
    )
    store.command("INSERT INTO llm_engine_events (instance_id, devices) SELECT 'x', ['GPU-a']")
    for second in (1, 2):
        store.command(
            f"INSERT INTO gpu_energy_ledger ({LINE}) "
            f"SELECT 'GPU-a', {T.format(second)}, {T.format(second + 1)}, 100, 70, 20, 10"
        )
    store.command(
        f"INSERT INTO llm_request_energy ({AMOUNT}) SELECT 'x', 1, 140, 40, 100, {T.format(3)}"
    )
    return store


def test_an_account_that_closes(account: Client) -> None:
    """Nothing is wrong, and the figures are those of the store."""
    assert energy_of(account) == {}
    [told] = rows(account, "energy")
    assert told == {
        "energy_windows": 2, "energy_j": 0.2, "energy_attributed_j": 0.14, "energy_idle_j": 0.04,
        "energy_unattributed_j": 0.02, "energy_residual_mj": 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("statement", "what", "wrong"),
    [
        (f"INSERT INTO gpu_energy_ledger ({LINE}) SELECT 'GPU-a', {T.format(3)}, {T.format(4)}, "
         "101, 70, 20, 10", "lines of gpu_energy_ledger that do not add up", 1),
        (f"INSERT INTO gpu_energy_ledger ({LINE}) SELECT 'GPU-a', {T.format(2)}, {T.format(3)}, "
         "20, 0, 20, 0", "windows of gpu_energy_ledger that overlap", 1),
        (f"INSERT INTO llm_request_energy ({AMOUNT}) SELECT 'x', 1, 5, 0, 5, {T.format(3)}",
         "mJ attributed and in no row of llm_request_energy", 5),
        ("TRUNCATE TABLE llm_requests_1m",
         "mJ of llm_request_energy missing in llm_requests_1m", 140),
        (f"INSERT INTO llm_request_energy ({AMOUNT}) SELECT 'y', 9, 0, 0, 0, {T.format(3)}",
         "amounts of requests that have no row", 1),
        ("TRUNCATE TABLE llm_request_energy",
         "requests with steps on a metered device and no energy", 1),
    ],
)  # fmt: skip
def test_an_account_that_does_not_close(
    account: Client, statement: str, what: str, wrong: int
) -> None:
    """Each contradiction is found by its name, and the run is judged as failed."""
    account.command(statement)
    assert energy_of(account)[what] == wrong
    verdict = judge(account, [], 0)
    assert f"{wrong} {what}" in verdict.problems["energy"]
    assert not verdict.passed
