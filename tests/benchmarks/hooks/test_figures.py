"""The figures of `hooks.json`, made from rounds, and the page that shows them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import report
from benchmarks.hooks import __main__ as program
from benchmarks.hooks import figures, page
from tests.benchmarks.hooks import sample


def test_each_figure_comes_from_its_own_rounds() -> None:
    """Medians per kind and size; the difference has 95 % bounds that hold its median."""
    found = figures.merged(sample.recorded(), sample.vllm())
    assert found["step_us"] == {"1": 100.0, "16": 110.0, "64": 120.0, "256": 130.0}
    assert found["step_us_difference"]["64"] == {"median": 220.0, "low95": 217.0, "high95": 223.0}
    assert found["step_us_alone"]["1"] == 300.0
    assert found["step_us_sync"]["16"] == 410.0
    assert found["step_us_arriving"]["1"] == 500.0
    assert found["step_us_drafts"]["256"] == 630.0
    assert found["floor_us"]["passing"] == {"1": 700.0, "16": 710.0, "64": 720.0, "256": 730.0}
    assert found["floor_us"]["least"]["256"] == 830.0
    assert found["floor_us"]["writing"]["1"] == 900.0
    assert found["recorder_step_us"] == {"1": 0.5, "16": 1.5, "64": 2.5, "256": 3.5}
    assert found["import_ms"] == 13.5
    assert found["goal"]["step_us"] == {"1": 5.1, "16": 6.6, "64": 11.4, "256": 30.6}


def test_the_keys_that_others_read_are_there() -> None:
    """`hooks.json` has the keys that DESIGN.md names; the shares are the largest of all batches."""
    found = figures.merged(sample.recorded(), sample.vllm())
    assert found["vllm_throughput_ratio"] == 0.9912
    assert found["vllm_throughput_ratio_low"] == 0.9811
    assert found["hook_share_of_step"] == 3.002
    assert found["hook_share_of_10_ms"] == 0.0014
    assert {"step_us", "import_ms"} <= set(found)
    json.dumps(found)


def test_the_page_shows_them() -> None:
    """Its first table, which the README quotes, is that of the vLLM hooks."""
    result = {
        "taken": "2026-01-02",
        "machine": report.machine(),
        "versions": report.versions("otel-llm", "msgspec"),
        **figures.merged(sample.recorded(), sample.vllm()),
        "method": page.METHOD,
    }
    text = page.render(result)
    first = [line for line in text.splitlines() if line.startswith("|")][:6]
    assert first[2] == "| 1 | 100.0 | 5.1 | 200.0 (197.0 to 203.0) | 300.0 | 11.0 | 0.11% | 90 |"
    assert first[5] == "| 256 | 130.0 | 30.6 | 230.0 (227.0 to 233.0) | 330.0 | 14.0 | 0.14% | 94 |"
    assert "**0.991** of those without, 95 % interval 0.981 to 1.002 (12 pairs" in text
    assert "{" not in text
    assert "steady-64" in text
    assert "| 256 | 730.0 | 830.0 | 930.0 | 130.0 | 4.5 | 10.5 | 12.0 | 14.0 |" in text


def test_the_page_says_which_goals_are_missed() -> None:
    """By each size; a goal that is just met is kept."""
    result = {
        "taken": "2026-01-02",
        "machine": report.machine(),
        "versions": report.versions("otel-llm", "msgspec"),
        **figures.merged(sample.recorded(), sample.vllm()),
        "method": page.METHOD,
    }
    result["step_us_alone"] = {"1": 5.1, "16": 6.5, "64": 11.5, "256": 31.0}
    result["engine"]["256"]["hooks_us"] = 50.0
    text = page.render(result)
    assert "- In place, at most 5 us and 0.1 us per request: **missed at every size.**" in text
    assert "- Alone, the same: **missed at 64, 256**, kept at the others." in text
    assert "- In an engine that generates, at most 0.5% of a step of 10 ms: kept at every" in text
    result["engine"]["256"]["hooks_us"] = 50.1
    assert "a step of 10 ms: **missed at 256**, kept at the others." in page.render(result)


def test_the_committed_page_is_that_of_the_committed_figures() -> None:
    """Nobody has written into it."""
    result = json.loads((report.RESULTS / "hooks.json").read_text(encoding="utf-8"))
    assert (report.RESULTS / "hooks.md").read_text(encoding="utf-8") == page.render(result)


def test_vllm_is_measured_in_its_own_python(tmp_path: Path) -> None:
    """The named Python runs the benchmark from the repository's root, and its figures come back."""
    python = tmp_path / "python"
    python.write_text(
        f"#!{sys.executable}\nimport json, os, sys\n"
        "assert os.path.isdir('benchmarks') and 'benchmarks.vllm_hooks' in sys.argv\n"
        "open(sys.argv[sys.argv.index('--out') + 1], 'w').write(json.dumps({'x': 1}))\n"
    )
    python.chmod(0o755)
    assert program.vllm(python) == {"x": 1}


def test_a_failure_there_is_a_failure_here(tmp_path: Path) -> None:
    """Nothing is written when vLLM's part fails."""
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nexit 3\n")
    python.chmod(0o755)
    with pytest.raises(subprocess.CalledProcessError, match="3"):
        program.vllm(python)
