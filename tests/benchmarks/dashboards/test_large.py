"""The boards in a large store, on a small one."""

import shutil
import time
from pathlib import Path

import pytest

from benchmarks.dashboards import large, page
from benchmarks.store.fill import Size, fill, open_store

STEPS = 20_000
BASE_NS = time.time_ns() - 3600 * 10**9
"""So short ago that no table's retention touches it."""


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store as `benchmarks.store --keep` leaves it."""
    folder = tmp_path_factory.mktemp("kept")
    (folder / "base_ns").write_text(str(BASE_NS), encoding="utf-8")
    client = open_store(folder)
    fill(client, Size(STEPS, BASE_NS), lambda _: None, folder / "fill_s.json")
    client.close()
    return folder


@pytest.mark.bench
@pytest.mark.timeout(300)
def test_every_panel_is_asked_and_held_to_the_budget(
    kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Panels and variables have times and rows; what reads more than the budget is named."""
    for name in ("engine", "trace"):
        shutil.copy(large.GENERATED / f"{name}.json", tmp_path)
    monkeypatch.setattr(large, "GENERATED", tmp_path)
    monkeypatch.setattr(large, "REPEATS", 1)
    monkeypatch.setattr(large, "BUDGET_MS", 1e9)
    monkeypatch.setattr(large, "BUDGET_ROWS", STEPS - 1)
    found = large.measure(kept)
    panels = found["panels"]
    assert {name.partition(":")[0] for name in panels} == {"engine", "trace"}
    assert "engine: $tenant" in panels
    assert all(one["rows_read"] > 0 for one in panels.values())
    assert panels["engine: Batch size"]["rows_read"] == STEPS
    assert "engine: Batch size" in found["over"]
    assert "trace: Energy by device" not in found["over"]
    assert found["rows"]["llm_request_energy"] == STEPS // 10
    text = "\n".join(page._large(found))
    assert "| engine: Batch size |" in text
    assert f"{len(panels)} panels and variables ask it" in text


@pytest.mark.timeout(300)
def test_a_store_is_filled_once(kept: Path) -> None:
    """Asked again, it holds what it held."""
    size = large.large_fill.fill(kept)
    assert size == Size(STEPS, BASE_NS)
    large.large_fill.fill(kept)
    client = open_store(kept)
    counted = client.query("SELECT count() FROM llm_step_kernels").result_rows
    client.close()
    assert counted == [(STEPS,)]
