"""The fleet, with one node for a second, and what is made of its figures."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from benchmarks.fleet import __main__ as bench
from benchmarks.fleet import page, traffic
from benchmarks.fleet.traffic import PLAN, Second
from otel_llm.conventions import Tables
from otel_llm.sizing.model import size


@pytest.mark.bench
@pytest.mark.timeout(300)
def test_one_node_for_a_second() -> None:
    """Everything that it sends is stored once, and costs something."""
    found = bench.run(bench.RECEIVER, 1, 1, "")
    assert (found["nodes"], found["gateways"]) == (1, 1)
    assert found["inserts"] == len(traffic.OF_NODES) + len(traffic.of_gateways(1))
    assert found["cores"] > 0
    assert found["bytes_per_day"] > 0
    assert 0 < found["insert_ms"]["p50"] <= found["insert_ms"]["p95"] <= found["late_ms"]["p95"]


def test_a_row_too_few_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A figure about rows that were lost would be worth nothing."""
    monkeypatch.setattr(bench, "PATIENCE_S", 0.1)
    monkeypatch.setattr(bench, "_found", lambda _store, _wanted: Counter(llm_steps=39))
    with pytest.raises(RuntimeError, match="39"):
        bench._wait_stored(None, tmp_path, Counter(llm_steps=40))  # type: ignore[arg-type]


def test_rows_of_all_agents() -> None:
    """Ten nodes serve 120 calls a second, so two gateways tell of 60 each."""
    node = [Second([], b"spans")] * 3
    gateway = [Second([], b"")] * 3
    wanted = bench._rows([node] * 10 + [gateway] * 2)
    assert wanted["llm_steps"] == 10 * 40 * 3
    assert wanted["llm_gateway_calls"] == 2 * 60 * 3
    assert wanted["otel_traces"] == 10 * 84 * 3


@pytest.mark.parametrize("nodes", [1, 2, 8, 9, 17, 100])
@pytest.mark.parametrize("seconds", [1, 4, 40])
def test_the_source_has_rows_enough_for_every_agent(nodes: int, seconds: int) -> None:
    """Also where the attempts of a few calls are rounded up."""
    requests = traffic._steps(nodes, seconds) // 10
    gateways = traffic.gateways(nodes)
    calls, attempts = traffic.of_gateways(nodes).values()
    assert calls * gateways * seconds <= requests
    assert attempts * gateways * seconds <= requests * 20 // 19
    assert traffic.OF_NODES[Tables.REQUESTS] * nodes * seconds <= requests


def test_what_is_said_is_the_models_word() -> None:
    """For all nodes it is what `otel-llm size` prints for the fleet, spans included."""
    said = bench._said(bench.RECEIVER, traffic.NODES)
    assert said["cores"] == pytest.approx(size(PLAN).store_cores, abs=1e-3)
    assert bench._said(bench.COLLECTOR, traffic.NODES)["cores"] > said["cores"]


def test_the_fleet_is_the_first_to_the_last_run_made_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What the processes cost idle is not multiplied."""
    monkeypatch.setattr(bench, "_said", lambda _way, _nodes: {
        "cores": 0.5, "bytes_per_day": 1, "inserts_per_s": 1.0})  # fmt: skip
    runs = {bench.RECEIVER: [_run(2, 0.5), _run(4, 0.75), _run(6, 0.9)]}
    result = bench.figures(runs, 10, "")
    way = result["ways"][bench.RECEIVER]
    assert way["cores_per_node"] == 0.1
    assert way["fleet_cores"] == 100
    assert way["cores_to_said"] == 1.5
    text = page.render(result)
    assert "| our receiver | 1.5 | 0.1 | 100 | 0.5 |" in text
    assert "collector not run" in text


def _run(nodes: int, cores: float) -> dict[str, Any]:
    times = {"p50": 1.0, "p95": 2.0}
    return {
        "nodes": nodes, "gateways": 1, "inserts": 120, "cores": cores, "cores_by_process": [cores],
        "bytes_per_day": 5e9, "insert_ms": times, "late_ms": times,
    }  # fmt: skip
