"""Sizes: what they are made of, and how they grow."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from benchmarks import measured
from otel_llm.cli.main import app
from otel_llm.conventions import ALL_TABLES
from otel_llm.errors import SettingError
from otel_llm.sizing import MEASURED, Plan, size
from otel_llm.sizing.measured import load
from otel_llm.sizing.model import STEP_BATCH
from otel_llm.sizing.page import PLANS, amount, fleet, sizing_page

plans = st.fixed_dictionaries(
    {
        "gpus": st.integers(1, 20_000),
        "calls_per_s": st.floats(0, 1e5),
        "gpus_per_engine": st.sampled_from([1, 2, 8, 16]),
        "output_tokens": st.floats(1, 10_000),
        "keep": st.floats(0, 1),
        "kernels_per_step": st.integers(0, 3000),
        "raw_every": st.integers(0, 1000),
    }
).map(lambda given: Plan(**given))


def test_the_figures_are_those_of_the_results() -> None:
    """`measured.json` holds what the committed results say, and the check would notice another."""
    assert load(measured.text().encode()) == MEASURED
    assert load(measured.text().replace(MEASURED.machine, "x").encode()) != MEASURED


def test_tables_are_ours() -> None:
    """Each table with a cost is one that there is."""
    known = {table.name for table in ALL_TABLES} | {"otel_traces"}
    assert set(MEASURED.tables) <= known


def test_one_gpu_by_hand() -> None:
    """A plan small enough to reckon on paper."""
    plan = Plan(gpus=1, calls_per_s=2, gpus_per_engine=1, spans_per_call=5, steps_per_s=10)
    found = size(plan)
    assert found.rows_per_s["otel_traces"] == 10
    assert found.rows_per_s["llm_steps"] == 10
    assert found.rows_per_s["gpu_power"] == 1
    assert found.rows_per_s["llm_kernels"] == 0
    assert found.batch == 2 * 300 / 10
    steps = MEASURED.tables["llm_steps"]
    # Batches of 60 where rows were measured with 31.6.
    row = steps.bytes * 60 / STEP_BATCH
    assert found.bytes_per_day["llm_steps"] == pytest.approx(10 * 86_400 * row)
    assert (found.shards, found.gateways) == (1, 2)


def test_kernels_are_rows_of_their_own() -> None:
    """1000 kernels of every 100th step on 16 GPUs in two engines."""
    plan = Plan(gpus=16, calls_per_s=1, steps_per_s=50, kernels_per_step=1000, raw_every=100)
    rows = size(plan).rows_per_s
    assert rows["llm_step_kernels"] == 2 * 50 * 8
    assert rows["llm_kernels"] == 2 * 50 * 8 * 1000 / 100


def test_inserts_cost_whatever_their_rows() -> None:
    """Eight nodes write five tables every two seconds, three gateways two; spans are gathered."""
    plan = Plan(gpus=64, calls_per_s=250, write_every_s=2)
    found = size(plan)
    assert found.inserts_per_s["llm_steps"] == 8 / 2
    assert found.inserts_per_s["llm_gateway_calls"] == 3 / 2
    assert "otel_traces" not in found.inserts_per_s
    assert sum(found.inserts_per_s.values()) == 8 * 5 / 2 + 3 * 2 / 2
    told = sum(MEASURED.tables[name].insert_s * rate for name, rate in found.inserts_per_s.items())
    assert found.insert_cores == pytest.approx(told)
    often = size(plan._replace(write_every_s=1))
    assert often.insert_cores == pytest.approx(2 * told)
    assert often.store_cores - found.store_cores == pytest.approx(told)


def test_an_insert_needs_a_row() -> None:
    """One call in ten seconds makes no insert a second."""
    assert size(Plan(gpus=1, calls_per_s=0.1)).inserts_per_s["llm_requests"] == 0.1


def test_what_an_insert_costs_is_where_the_line_of_two_blocks_begins() -> None:
    """Blocks of 10 and 110 rows that take 30 and 80 ms: 25 ms without rows."""
    fact = {
        "small": {"rows_per_block": 10, "rows_per_core_s": 10 / 0.030},
        "large": {"rows_per_block": 110, "rows_per_core_s": 110 / 0.080},
    }
    assert measured._insert_s(fact) == 0.025


@given(plans)
def test_more_calls_never_need_less(plan: Plan) -> None:
    """Doubling the calls makes nothing smaller."""
    one, two = size(plan), size(plan._replace(calls_per_s=2 * plan.calls_per_s))
    assert two.store_cores >= one.store_cores
    assert sum(two.bytes_per_day.values()) >= sum(one.bytes_per_day.values())
    assert two.shards >= one.shards
    assert two.gateways >= one.gateways
    assert two.hook_share_of_step >= one.hook_share_of_step


@given(plans)
def test_shards_hold_what_comes(plan: Plan) -> None:
    """The disks hold all days, and no server is busier than planned."""
    found = size(plan)
    stored = sum(found.bytes_per_day.values()) * plan.days
    assert stored <= found.shards * plan.shard_bytes
    assert found.store_cores <= found.shards * plan.shard_cores / 2 * 1.0001


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"gpus": 0}, "gpus"),
        ({"calls_per_s": -1.0}, "calls_per_s"),
        ({"calls_per_s": float("nan")}, "calls_per_s"),
        ({"keep": 1.5}, "keep"),
        ({"days": float("inf")}, "days"),
    ],
)
def test_plans_that_cannot_be(wrong: dict[str, Any], named: str) -> None:
    """The error names the number."""
    with pytest.raises(SettingError, match=named):
        size(Plan(**{"gpus": 8, "calls_per_s": 1.0, **wrong}))


@pytest.mark.parametrize(
    ("value", "text"), [(5, "5 B"), (1234, "1.23 kB"), (2.5e12, "2.5 TB"), (3e18, "3e+03 PB")]
)
def test_amounts(value: float, text: str) -> None:
    """Three digits and a unit."""
    assert amount(value) == text


def test_the_page_links_the_fleet_once_it_was_run(tmp_path: Path) -> None:
    """Without figures the page says that there are none; with them it gives and links them."""
    assert fleet(tmp_path) == "Its figures are not committed yet."
    ways = {"our receiver": {"cores_to_said": 1.5}, "the collector": {"cores_to_said": 0.9}}
    (tmp_path / "fleet.json").write_text(json.dumps({"ways": ways}))
    told = " ".join(fleet(tmp_path).split())
    assert "spans through our receiver 1.5, the collector 0.9 ([figures]" in told
    assert "(../benchmarks/results/fleet.md)" in told
    assert "{" not in sizing_page()


def test_the_command_prints_both_ways() -> None:
    """As a table for people, as JSON for programs; what cannot be is one line and status 1."""
    asked = ["size", "--gpus", "8000", "--rps", "12000", "--keep", "0.1"]
    shown = CliRunner().invoke(app, asked)
    assert shown.exit_code == 0
    assert "ClickHouse shards" in shown.stdout
    told = json.loads(CliRunner().invoke(app, [*asked, "--json"]).stdout)
    assert told["size"]["shards"] == size(PLANS["8,000 GPUs"]).shards
    seldom = json.loads(CliRunner().invoke(app, [*asked, "--write-every", "5", "--json"]).stdout)
    assert seldom["plan"]["write_every_s"] == 5
    assert seldom["size"]["insert_cores"] == pytest.approx(told["size"]["insert_cores"] / 5)
    assert CliRunner().invoke(app, ["size", "--gpus", "0", "--rps", "1"]).exit_code == 1
