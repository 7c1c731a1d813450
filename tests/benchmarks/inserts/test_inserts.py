"""Small INSERTs: each rung does what it says, and the page says what each adds."""

from contextlib import closing
from pathlib import Path

import pytest

from benchmarks.inserts import __main__ as bench
from benchmarks.inserts import ladder, measure, page
from benchmarks.inserts.ladder import Cost
from otel_llm.conventions import Tables
from otel_llm.exporters.clickhouse.engine import Engine


@pytest.mark.bench
@pytest.mark.timeout(300)
def test_every_rung_stores_all_its_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cheap INSERT that stored nothing would be no floor."""
    monkeypatch.setattr(ladder, "IDLE_S", 0.0)
    bodies = measure._apart(measure.made, tmp_path / "source", 2)[Tables.STEPS.name]
    rungs = measure._apart(ladder.climb, tmp_path / "store", Tables.STEPS, bodies, 100)
    assert len(rungs) == 6
    assert measure._apart(_rows, tmp_path / "store") == {
        "one": 200, "plain": 200, "copy": 200, "synced": 200, "llm_steps": 400,
    }  # fmt: skip
    assert all(cost.insert > 0 for cost in rungs.values())


def _rows(folder: Path) -> dict[str, int]:
    names = ("one", "plain", "copy", "synced", "llm_steps")
    with closing(Engine(folder)) as engine, engine.session() as handle:
        return {name: int(handle.run(f"SELECT count() FROM {name}")) for name in names}


def test_medians_and_what_each_rung_adds() -> None:
    """Of three rounds the middle one counts, and a line says how much more it is."""
    rest = {name: Cost(20.0, 0.5) for name in page.PARTS.values()}
    found = [
        {table.name: {"one column": Cost(low, 1.0), "all columns": Cost(high, 0.5),
                      **{name: rest[name] for name in rest if name != "one column"}}
         for table in measure.TABLES}
        for low, high in ((2.0, 5.0), (1.0, 4.0), (9.0, 30.0))
    ]  # fmt: skip
    result = bench.figures(found, 100)
    rungs = result["tables"]["llm_steps"]["rungs"]
    assert rungs["one column"] == {
        "insert_ms": 2.0, "insert_ms_range": [1.0, 9.0], "merge_ms": 1.0,
    }  # fmt: skip
    assert "| all columns | 5.0 | +3.0 | 4.0, 30.0 | 0.5 |" in page.render(result)
    said = [line for line in page.render(result).splitlines() if line.startswith("| its ")]
    assert said[:1] == ["| its columns, codecs, order, indexes and window | 18.0 | 18.0 | 18.0 |"]
    assert "| as agents send it | 20.0 | 20.0 | 20.0 |" in page.render(result)
