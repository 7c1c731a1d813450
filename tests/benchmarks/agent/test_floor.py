"""The floor does all of its work, on blocks that are the agent's."""

from pathlib import Path

import pytest

from benchmarks.agent import load as loads
from benchmarks.agent import measure
from benchmarks.agent.floor import PARTS, Floor
from benchmarks.agent.floor_work import Work, work_of
from benchmarks.agent.load import Load
from otel_llm.agent.database import Database
from otel_llm.agent.spool import Spool
from otel_llm.settings import load as load_settings

SMALL = Load(engines=2, rate=20, batch=8, tokens=10)


@pytest.fixture(scope="module")
def work() -> Work:
    """A second of a small load."""
    return work_of(SMALL)


def test_a_second_is_made_again(work: Work) -> None:
    """Steps and requests are as many as the load has in a second, and the same each time."""
    rows = {batch.target: batch.items for batch in work.batches()}
    assert rows["llm_steps"] == rows["llm_step_kernels"] == 2 * 20
    assert rows["llm_requests"] == pytest.approx(2 * 20 * 8 / 10, abs=4)
    first, second = ([batch.body for batch in work.batches()] for _ in range(2))
    assert first == second


def test_all_is_read_made_and_sent(
    work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two seconds of load are two seconds of blocks, none of which stays in the spool."""
    monkeypatch.setenv("OTEL_LLM_JOURNAL_DIR", str(tmp_path / "journals"))
    monkeypatch.setenv("OTEL_LLM_STATE_DIR", str(tmp_path / "state"))
    loads.write(SMALL, 2.0, lambda: None)
    settings = load_settings()
    with measure.sink() as url:
        floor = Floor(SMALL, work, settings, int(url.rpartition(":")[2]))
        floor.follow()
    told = floor.told()
    assert (told["steps"], told["seconds"], told["lost"]) == (80, 2, 0)
    assert set(told["parts_s"]) == set(PARTS)
    assert min(told["parts_s"].values()) > 0
    floor.close()
    left = Spool(Database(Path(settings.state_dir)), settings.spool_bytes)
    assert left.sizes == {"clickhouse": 0, "otlp": 0}


def test_a_floor_that_did_not_do_its_work_is_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that ends before the load does is an error, not a low floor."""
    monkeypatch.setattr(measure, "FLOOR", "benchmarks.agent.nothing")
    with pytest.raises(RuntimeError, match="were not worked off"):
        measure.floor(SMALL, 0.2)
