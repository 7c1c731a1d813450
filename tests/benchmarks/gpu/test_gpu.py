"""The programs for a GPU, over the fakes: every stage runs, and what is wrong is noticed."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import report
from benchmarks.gpu import __main__, page, stages, work

SHORT = ["--fake", "--budget-s", "4", "--out"]


def results(folder: Path) -> dict[str, Any]:
    """What was written."""
    found: dict[str, Any] = json.loads((folder / "gpu.json").read_text())
    return found


@pytest.mark.bench
def test_every_stage_runs(tmp_path: Path) -> None:
    """All figures are there, nothing is owed any more, and every kernel of the fake was seen."""
    assert __main__.main([*SHORT, str(tmp_path)]) == 0
    found = results(tmp_path)
    assert set(found["throughput_ratio"]) == {"dormant", *stages.MODES}
    assert all(ratio > 0 for ratio in found["throughput_ratio"].values())
    assert found["kernel_coverage"] == 1.0
    assert {one["kernels"] > 0 for one in found["against_profiler"].values()} == {True}
    assert found["soak"]["counters"]["records"] == found["soak"]["launched"] > 0
    assert found["devices"]["read"] == 1
    assert found["devices"]["samples"] > 0
    assert (found["gpu"], found["cupti"]) == ("none: the fake libcupti", 130500)
    assert found["driver"] == "none"
    assert found["clock"]["readings"] > 0
    assert stages.failings({"clock": {"readings": 0, "furthest_ns": 0}}) != []
    assert found["soak"]["host_bytes_grown"] < stages.GROWN_BYTES
    assert "## Owed" not in (tmp_path / "gpu.md").read_text()


@pytest.mark.bench
def test_lost_kernels_are_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One kernel in three hundred is lost: less than 99.9 % is covered."""
    monkeypatch.setenv("FAKE_CUPTI_DROP", "300")
    assert __main__.main([*SHORT, str(tmp_path), "against", "soak"]) == 1
    told = capsys.readouterr().err
    assert ("graph: coverage 0.996" in told, "dropped_by_cupti" in told) == (True, True)


def test_a_shim_that_cannot_record_is_no_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is told why, and the other stages go on."""
    monkeypatch.setenv("FAKE_CUPTI_SUBSCRIBE", "999")
    assert __main__.main([*SHORT, str(tmp_path), "against", "devices"]) == 1
    assert "the shim is off (no_driver)" in capsys.readouterr().err
    assert "kernel_coverage" not in results(tmp_path)
    assert results(tmp_path)["devices"]["read"] == 1
    assert "No GPU" not in (tmp_path / "gpu.md").read_text()


def test_values_unlike_those_of_nvidia_smi(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each is named with both values."""
    monkeypatch.setattr(__main__, "fake_smi", lambda: "GPU-0, 1024, 1, 71, 100.00\n")
    assert __main__.main([*SHORT, str(tmp_path), "devices"]) == 1
    assert "temperature.gpu is 40, nvidia-smi says 71" in capsys.readouterr().err


def test_goals() -> None:
    """Figures that miss a goal are told, those that reach it are not."""
    found = {
        "throughput_ratio": {"dormant": 0.99, "callbacks_only": 0.5, "aggregates": 0.98,
                             "default": 0.97, "full": 0.95},
        "devices": {"unlike_nvidia_smi": [], "core_share": 0.006, "read": 8},
        "against_profiler": {"graph": {"coverage": 1.0, "same_counts": True,
                                       "median_duration_error": 0.03}},
    }  # fmt: skip
    assert [each.split(":")[0] for each in stages.failings(found)] == [
        "graph", "throughput, dormant", "throughput, callbacks_only", "throughput, default",
        "sampler",
    ]  # fmt: skip
    assert [each.split(":")[0] for each in stages.failings(found, timed=False)] == ["graph"]


def test_names_are_compared_as_torch_shows_them() -> None:
    """CUPTI's are mangled, torch.profiler's are not, but for those longer than 1,024 bytes."""
    shown = "void deep_ep::internode_ll::dispatch<false, 3>(void*)"
    assert work.demangled("_ZN7deep_ep12internode_ll8dispatchILb0ELi3EEEvPv") == shown
    assert work.demangled("nvjet_tst_64x24") == "nvjet_tst_64x24"
    longest = "_ZN1200" + "a" * 1200 + "E"
    assert work.demangled(longest[:1024]) == work.cut(longest)


def test_a_soak_that_is_short_or_grows() -> None:
    """Too few kernels prove nothing, and memory that grows is told, the device's and the host's."""
    counters = dict.fromkeys(stages._LOSSES, 0) | {"records": 1_000_000}
    soak = {"launched": 1_000_000, "counters": counters, "device_bytes_grown": 1 << 30,
            "host_bytes_grown": 100 << 20}  # fmt: skip
    told = stages.failings({"soak": soak})
    assert [each.split(" ")[1] for each in told] == ["1000000", "the", "the"]
    still = {**soak, "device_bytes_grown": 26 << 20, "host_bytes_grown": 0}
    assert stages.failings({"soak": still}, timed=False) == []


def test_a_shim_that_stopped_itself_is_no_figure() -> None:
    """Recording nothing costs nothing: that is told, and the page says how far it was thinned."""
    one = {"median": 0.999, "min": 0.998, "thinned": 0}
    modes = dict.fromkeys(("dormant", *stages.MODES), one) | {"default": {**one, "thinned": 4}}
    found = {"throughput": {"eager, batch 8": modes}}
    assert stages.failings(found) == ["eager, batch 8, default: the shim had stopped itself"]
    ratios = dict.fromkeys(modes, 0.999)
    text = page.render({**found, "throughput_ratio": ratios})
    assert "| default | 0.999 | 0.98 | 4 |" in text


def test_the_fakes_are_kept_apart() -> None:
    """What they say never goes where results are kept."""
    assert __main__.main(["--fake"]) == 2


def test_the_committed_page() -> None:
    """It is made of the committed figures, or says that there are none and what is owed."""
    figures = report.RESULTS / "gpu.json"
    found = json.loads(figures.read_text()) if figures.exists() else {}
    assert (report.RESULTS / "gpu.md").read_text() == page.render(found)
    assert "fake libcupti" not in found.get("gpu", "")


def test_what_a_machine_without_network_runs(tmp_path: Path) -> None:
    """The script sets itself up and hands its arguments on."""
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [root / "benchmarks" / "gpu" / "run", *SHORT, tmp_path, "devices"],
        env={**os.environ, "PYTHON": sys.executable}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert results(tmp_path)["devices"]["unlike_nvidia_smi"] == []
