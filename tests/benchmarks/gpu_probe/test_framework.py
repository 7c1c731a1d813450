"""Rows that run beside PyTorch, with a stand-in for it: how CUPTI is loaded, and what is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from gpuprobe import stages
from gpuprobe.copies import Copy
from gpuprobe.stages import Setting

from tests.benchmarks.gpu_probe.conftest import AskRow

FRAMEWORK = str(Path(__file__).parent / "framework")
OWN, CARRIED = Copy("framework 13.0.85", Path("/a"), "a"), Copy("wheel 13.5.25", Path("/b"), "b")


def beside_torch(ask: AskRow, scenario: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    """One row in a process that has the stand-in for PyTorch."""
    environment = {"PYTHONPATH": FRAMEWORK, **more.pop("environment", {})}
    return ask(scenario, work="torch", environment=environment, **more)


@pytest.mark.parametrize("load", ["in_process", "global_first", "own"])
def test_every_way_of_loading_sees_every_kernel(ask: AskRow, load: str) -> None:
    """The row completes under a framework, its warm-up kernel counted too."""
    row = beside_torch(ask, "both", load=load)
    assert row["outcome"] == "ok", row
    assert row["complete"] is True
    assert row["counters"]["kernels"] == 1201


def test_preloaded_library_is_the_one_used(ask: AskRow, libraries: dict[str, Path]) -> None:
    """LD_PRELOAD puts the copy into the process before anything else."""
    preload = {"LD_PRELOAD": str(libraries["fake_gpu"])}
    row = beside_torch(ask, "both", environment=preload)
    assert row["complete"] is True


def test_framework_profiler_is_tried_after_detaching(ask: AskRow) -> None:
    """After letting go, the framework's profiler sees its kernels and we may subscribe again."""
    row = beside_torch(ask, "profiler_after")
    assert row["outcome"] == "ok", row
    assert row["profiler_kernels"] == 20
    assert row["subscribe_again"] == "0 (ok)"


def test_a_framework_that_does_not_import_is_said_in_words(ask: AskRow) -> None:
    """No PyTorch in the row's process: an error of one line."""
    row = ask("both", work="torch")
    if row["outcome"] == "ok":
        pytest.skip("PyTorch is installed here")
    assert row["detail"] == "ModuleNotFoundError: No module named 'torch'"


def setting(tmp_path: Path, budget_s: float) -> Setting:
    """A machine with PyTorch and two copies of CUPTI."""
    return Setting(
        copies=[OWN, CARRIED],
        idle_copies=[],
        shim=tmp_path / "shim.so",
        torch=True,
        dry=False,
        budget_s=budget_s,
        environment={},
        machine={},
        fixture=tmp_path / "f",
    )


def test_core_questions_come_first_for_every_copy(tmp_path: Path) -> None:
    """If time runs out, what is lost is the rest and not the core."""
    names = [question.name for question in stages.modes(setting(tmp_path, 460))]
    assert names[:4] == [f"{n} [{c.label}]" for n in ("version", "both") for c in (OWN, CARRIED)]
    assert len(names) == len(set(names))
    assert any("LD_PRELOAD [wheel" in name for name in names)
    assert not any("LD_PRELOAD [framework" in name for name in names)


@pytest.mark.parametrize("rows", [stages.modes, stages.cost, stages.nvml, stages.record])
def test_every_question_names_a_scenario_and_fits_its_stage(tmp_path: Path, rows: Any) -> None:  # noqa: ANN401
    """No row asks for something unknown, or for more time than a stage of eight minutes has."""
    from gpuprobe.scenarios import NAMES

    for question in rows(setting(tmp_path, 460)):
        assert question.scenario in NAMES
        assert question.needs_s <= 60
        assert question.limit_s <= 130


def test_carried_cupti_is_loaded_before_the_framework(tmp_path: Path) -> None:
    """A copy that is not the framework's own must come first, or there are two in a process."""
    for question in stages.cost(setting(tmp_path, 460)):
        carried = question.spec.get("copy", {}).get("label") == CARRIED.label
        if carried and question.scenario != "cost_launches":
            assert question.spec["load"] == "global_first"


def test_one_recording_is_enough(tmp_path: Path) -> None:
    """Once a fixture is there, no other is recorded over it."""
    questions = stages.record(setting(tmp_path, 60))
    assert next(questions).spec["work"] == "torch"
    (tmp_path / "f").write_bytes(b"recorded")
    assert list(questions) == []
