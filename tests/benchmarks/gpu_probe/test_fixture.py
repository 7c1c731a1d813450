"""The recorded fixture: what is written is read back, and it stays small."""

from __future__ import annotations

import base64
import gzip
import json
import time
from pathlib import Path
from typing import Any

import pytest
from gpuprobe import fixture, row_fixture
from gpuprobe.records import Row, decode_kernel
from gpuprobe.row_fixture import Sampler
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.benchmarks.gpu_probe.conftest import AskRow


@settings(max_examples=40)
@given(st.lists(st.integers(0, 2**63)))
def test_delta_coding_is_undone(values: list[int]) -> None:
    """Decoding gives back exactly what was encoded."""
    assert fixture.decode(fixture.encode(values)) == values


def rows_of(steps: int, kernels: int) -> list[Row]:
    """Rows as a decode loop gives them: the same few shapes over and over."""
    return [
        Row(
            10**18 + step * 10**6 + n * 1000,
            10**18 + step * 10**6 + n * 1000 + 700 + (n * 7919) % 97,
            step << 8 | n, step, step, 0, 7, 3, n % 5 + 1, 10, 1, 4 + n % 3, 1, 1, 128, 1, 1,
        )
        for step in range(1, steps + 1)
        for n in range(kernels)
    ]  # fmt: skip


def fit(path: Path, steps: int, kernels: int, limit: int) -> dict[str, Any]:
    """Write so many steps under a limit of so many bytes."""
    timeline = {n: (2, 10**18 + n * 10**6, n * 10**6, 900_000) for n in range(1, steps + 1)}
    before, fixture.LIMIT_BYTES = fixture.LIMIT_BYTES, limit
    try:
        head: dict[str, Any] = {"dry_run": True}
        name = "kernel_{}".format
        return row_fixture.fit(path, head, rows_of(steps, kernels), timeline, Sampler(), name)
    finally:
        fixture.LIMIT_BYTES = before


def test_everything_is_kept_where_it_fits(tmp_path: Path) -> None:
    """Small recordings keep each kernel, with its name and shape."""
    path = tmp_path / "f.json.gz"
    assert fit(path, 10, 20, 900_000) == {
        "bytes": path.stat().st_size,
        "kept_every": 1,
        "kernels": 200,
        "of": 200,
    }
    content = fixture.read(path)
    assert content["kernels"]["start_ns"] == [row.start for row in rows_of(10, 20)]
    assert content["kernels"]["step"] == [row.step for row in rows_of(10, 20)]
    shape = content["shapes"][content["kernels"]["shape"][1]]
    assert content["names"][shape[0]] == "kernel_2"
    assert shape[1:] == [5, 1, 1, 128, 1, 1]


def test_a_long_recording_keeps_some_steps_whole_and_sums_of_all(tmp_path: Path) -> None:
    """Over the limit every Nth step keeps its kernels; each step keeps its count and busy time."""
    path = tmp_path / "f.json.gz"
    done = fit(path, 200, 50, 12_000)
    assert path.stat().st_size <= 12_000
    assert done["kept_every"] > 1
    content = fixture.read(path)
    assert len(content["steps"]["step"]) == 200
    assert set(content["steps"]["kernels"]) == {50}
    by_step: dict[int, int] = {}
    for step in content["kernels"]["step"]:
        by_step[step] = by_step.get(step, 0) + 1
    kept = [s for s, k in zip(content["steps"]["step"], content["steps"]["kept"], strict=True) if k]
    assert sorted(by_step) == kept
    assert set(by_step.values()) == {50}


def test_busy_time_of_a_step_is_the_union_of_its_kernels(tmp_path: Path) -> None:
    """Kernels that overlap are not counted twice."""
    path = tmp_path / "f.json.gz"
    fit(path, 1, 3, 900_000)
    rows = rows_of(1, 3)
    assert fixture.read(path)["steps"]["busy_ns"] == [sum(r.end - r.start for r in rows)]


def test_foreign_and_broken_files_are_refused(tmp_path: Path) -> None:
    """Another format, or columns that do not fit together, is an error that says which."""
    path = tmp_path / "f.json.gz"
    path.write_bytes(gzip.compress(json.dumps({"format": "other"}).encode()))
    with pytest.raises(ValueError, match="'other'"):
        fixture.read(path)
    fit(path, 2, 2, 900_000)
    content = json.loads(gzip.decompress(path.read_bytes()))
    content["kernels"]["stream"].pop()
    path.write_bytes(gzip.compress(json.dumps(content).encode()))
    with pytest.raises(ValueError, match="table kernels"):
        fixture.read(path)


def test_recorded_end_to_end(ask: AskRow, tmp_path: Path) -> None:
    """A recording on the fake GPU: kernels lie in their steps, power is there, nothing lost."""
    path = tmp_path / "decode.json.gz"
    row = ask("record_fixture", fixture=str(path), machine={"gpu": "fake"}, seconds=0.3, kernels=20)
    assert row["outcome"] == "ok", row
    content = fixture.read(path)
    assert content["dry_run"] is True
    assert content["phases"] == ["idle", "eager", "graph"]
    assert set(content["steps"]["phase"]) == {1, 2}
    assert content["steps"]["kernels"] == [20] * 30
    assert all(value == 0 for value in content["loss"].values())
    assert set(content["kernels"]["step"]) == set(content["steps"]["step"])
    _check_clocks(content)
    _check_graphs(content)
    raw = decode_kernel(base64.b64decode(content["raw_kernel_records"][0]))
    assert raw.name == 0
    assert raw.end > raw.start > 0


def _check_clocks(content: dict[str, Any]) -> None:
    """Host, CUPTI and NVML stamps belong to one stretch of time."""
    steps, kernels, power = content["steps"], content["kernels"], content["power"]
    assert steps["begin_wall_ns"] == sorted(steps["begin_wall_ns"])
    assert min(kernels["start_ns"]) >= steps["begin_wall_ns"][0]
    assert max(kernels["start_ns"]) <= time.time_ns()
    assert power["energy_mj"] == sorted(power["energy_mj"])
    assert power["wall_ns"][0] < steps["begin_wall_ns"][0]
    assert set(power["power_average_mw"]) == {300000}


def _check_graphs(content: dict[str, Any]) -> None:
    """Graph kernels carry graph and node ids and share a correlation id; eager ones do not."""
    kernels = content["kernels"]
    phase = dict(zip(content["steps"]["step"], content["steps"]["phase"], strict=True))
    ids: dict[int, set[int]] = {}
    for n, step in enumerate(kernels["step"]):
        ids.setdefault(step, set()).add(kernels["correlation_id"][n])
        assert (kernels["graph_id"][n] != 0) == (phase[step] == 2)
    assert {len(found) for step, found in ids.items() if phase[step] == 2} == {1}
    assert {len(found) for step, found in ids.items() if phase[step] == 1} == {20}


def test_without_nvml_the_power_table_is_empty_and_says_so(ask: AskRow, tmp_path: Path) -> None:
    """No NVML: kernels are recorded all the same, and no power is made up."""
    path = tmp_path / "decode.json.gz"
    missing = {"OTEL_LLM_PROBE_LIBNVML": "/nonexistent/libnvidia-ml.so.1"}
    row = ask(
        "record_fixture", fixture=str(path), machine={}, seconds=0.1, kernels=5, environment=missing
    )
    assert row["outcome"] == "ok", row
    assert "/nonexistent/libnvidia-ml.so.1" in row["power"]["absent"]
    assert fixture.read(path)["power"]["energy_mj"] == []
