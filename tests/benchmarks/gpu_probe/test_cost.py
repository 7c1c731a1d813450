"""Stage 2's rows against the fake GPU: shapes and honesty, no figures."""

from __future__ import annotations

import pytest
from gpuprobe.row_cost import MODES, Block, _summary

from tests.benchmarks.gpu_probe.conftest import Answers, AskRow


@pytest.mark.bench
def test_alternating_modes_are_all_measured_against_off(answers: Answers) -> None:
    """Each mode has a ratio to `off` with bounds; before and after, only nothing is measured."""
    row = answers["decode, modes alternating"]
    for kind in ("eager", "graph"):
        modes = row[kind]["modes"]
        assert set(modes) == set(MODES)
        assert "step_ratio_to_off" not in modes["off"]
        ratio = modes["both"]["step_ratio_to_off"]
        assert ratio["low95"] <= ratio["median"] <= ratio["high95"]
        assert set(row[f"{kind} before attach"]["modes"]) == {"nothing"}
        assert set(row[f"{kind} after detach"]["modes"]) == {"nothing"}
    assert row["counters"]["kernels"] > 0
    assert row["counters"]["callbacks"] > 0


@pytest.mark.parametrize("mode", ["nothing", "callbacks", "activity", "both", "graph trace"])
def test_own_process_runs_only_its_mode(answers: Answers, mode: str) -> None:
    """What the mode leaves off is not seen at all."""
    row = answers[f"decode, own process, {mode}, turn 1"]
    assert set(row["graph"]["modes"]) == {mode}
    if mode == "nothing":
        assert "counters" not in row
        return
    counters = row["counters"]
    assert (counters["callbacks"] > 0) == (mode in {"callbacks", "both"})
    assert (counters["kernels"] > 0) == (mode in {"activity", "both"})
    assert (counters["graphs"] > 0) == (mode == "graph trace")


def test_launch_cost_needs_the_shim(ask: AskRow) -> None:
    """Through ctypes the cost of a callback cannot be told from Python's: it is not measured."""
    row = ask("cost_launches", shim=False)
    assert row["outcome"] == "failed"
    assert "needs the C shim" in row["detail"]


def test_launch_cost_is_a_difference_to_off(answers: Answers) -> None:
    """Every mode has its addition per kernel launch and per graph launch."""
    row = answers["launches in C"]
    modes = {"driver callbacks", "callbacks", "activity", "both"}
    assert set(row["added_ns_per_launch"]["kernel"]) == modes
    assert set(row["added_ns_per_launch"]["graph of 100"]) == modes
    assert set(row["launch_ns"]["kernel"]) == modes | {"before", "off", "after"}
    assert row["set_step_ns"] > 0


def test_summary_pairs_blocks_of_the_same_round() -> None:
    """A machine that slows down by half between rounds changes no ratio."""
    blocks = {
        "off": [Block([100, 100], 200), Block([150, 150], 300)],
        "both": [Block([110, 110], 220), Block([165, 165], 330)],
    }
    found = _summary(blocks, 2)["modes"]["both"]["step_ratio_to_off"]
    assert found["median"] == pytest.approx(1.1)
    assert found["low95"] == pytest.approx(found["high95"])
