"""The benchmark of the store, on a small one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import report
from benchmarks.otlp import spans
from benchmarks.store import __main__ as bench
from benchmarks.store import blocks, cost, ingest, measure, page
from benchmarks.store.cpu import spent
from tests.waiting import until


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of results of its own."""
    monkeypatch.setattr(report, "RESULTS", tmp_path / "results")
    (tmp_path / "results").mkdir()
    return tmp_path / "results"


@pytest.mark.bench
@pytest.mark.timeout(300)
def test_questions_at_a_small_size(
    tmp_path: Path,
    results: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Every question is answered, the keys others read are there, and other keys are left alone."""
    monkeypatch.setattr(measure, "WARM", 2)
    monkeypatch.setattr(measure, "COLD", 1)
    (results / "store.json").write_text('{"kills": 3, "other": {"kept": 1}}', encoding="utf-8")
    arguments = ["store", "--steps", "20000", "--dir", str(tmp_path), "--only", "questions"]
    monkeypatch.setattr("sys.argv", arguments)
    bench.main()
    result = json.loads((results / "store.json").read_text(encoding="utf-8"))
    assert result["other"] == {"kept": 1}
    assert "kills" not in result  # no kills.json says so
    assert result["trace_by_id_p95_ms"] > 0
    assert result["query_p95_ms_max"] > 0
    assert result["bytes_per_span"] > 0
    assert {one["trace_rows"] > 0 for one in result["queries"]["orders"]} == {True}
    answers = result["queries"]["large"]["windows"]["an hour"]
    assert answers["trace by id"]["answer_rows"] == 10
    assert answers["trace by id"]["rows_read"] >= 10
    page = (results / "store.md").read_text(encoding="utf-8")
    assert page in capsys.readouterr().out
    assert "was not run" in page
    assert [path.name for path in tmp_path.iterdir()] == ["results"]


def test_a_window_longer_than_the_smaller_store_is_shown() -> None:
    """A tenth of a day has no window of a day, so its column is empty there."""
    asked = {
        "warm_ms": {"p50": 1.5, "p95": 2.5}, "cold_ms": {"p50": 3, "p95": 4},
        "rows_read": 7, "answer_rows": 1,
    }  # fmt: skip
    stores = {
        name: {
            "steps": 8, "requests": 8, "spans": 8, "kernels": 8, "bytes_per_row": {},
            "windows": {window: {"latency": asked, "trace by id": asked} for window in windows},
        }
        for name, windows in {"small": ["an hour"], "large": ["an hour", "a day"]}.items()
    }  # fmt: skip
    text = page.render(
        {
            "taken": "today", "machine": report.machine(), "versions": {}, "bytes_per_span": 1,
            "trace_by_id_p95_ms": 1, "query_p95_ms_max": 1,
            "queries": stores | {"orders": [], "wire": {}},
        }
    )  # fmt: skip
    assert "| latency | 1.5 / 2.5 | 1.5 / 2.5 |" in text
    assert "| latency |  | 1.5 / 2.5 |" in text


@pytest.mark.bench
@pytest.mark.timeout(400)  # five times an `up` starts, and its merges are waited for
def test_the_way_in_at_a_small_size(
    tmp_path: Path, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Spans and facts go through a real `up`, and the kill loop's figures stand beside them."""
    monkeypatch.setattr(ingest, "ROUNDS", 2)
    monkeypatch.setattr(blocks, "REPEATS", {"small": 3, "large": 1})
    kills = {"kills": 9, "lost_after_kill": 0, "doubled_after_kill": 0, "seed": 1}
    (results / "kills.json").write_text(json.dumps(kills), encoding="utf-8")
    arguments = ["store", "--requests", "4", "--dir", str(tmp_path), "--only", "ingest"]
    monkeypatch.setattr("sys.argv", arguments)
    bench.main()
    result = json.loads((results / "store.json").read_text(encoding="utf-8"))
    came = result["ingest"]
    assert came["spans"] == 4 * spans.PER_REQUEST
    assert came["spread"]["ratio_to_native_copy"]["repeats"] == 2
    assert came["spans_per_core_s"] > 0
    assert came["longer"]["spans"] == ingest.LONGER * came["spans"]
    assert {
        size["rows_per_core_s"] > 0 for one in came["facts"].values() for size in one.values()
    } == {True}
    assert result["kills"] == 9
    assert "9 SIGKILLs" in (results / "store.md").read_text(encoding="utf-8")
    assert [path.name for path in tmp_path.iterdir()] == ["results"]


def test_cpu_of_another_process_is_counted() -> None:
    """Half a second of work is seen, that of a thread which has ended too, and no sleep."""
    work = """import sys, threading, time
def work():
    while time.thread_time() < 0.5: pass
print(flush=True)
sys.stdin.readline()
thread = threading.Thread(target=work); thread.start(); thread.join()
print(flush=True)
sys.stdin.readline()"""
    with subprocess.Popen(
        [sys.executable, "-c", work], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        before = spent(process.pid)
        process.stdin.write(b"\n")
        process.stdin.flush()
        process.stdout.readline()
        tasks = Path(f"/proc/{process.pid}/task")
        until(lambda: len(list(tasks.iterdir())) == 1)  # a moment after Python has joined it
        used = spent(process.pid).since(before)
        process.stdin.close()
    assert 0.45 < used.total < 0.7
    assert used.by_thread["ended"] > 0.4


def test_a_million_calls_cost_their_rows() -> None:
    """Sizes and CPU are summed over the rows that a call has."""
    sizes = dict.fromkeys(cost.DEMO, 100.0)
    tables = [table for table in cost.DEMO if table.startswith("llm_")]
    facts = {
        table: {size: {"rows_per_core_s": 1e6} for size in ("small", "large")} for table in tables
    }
    found = cost.per_million_calls(sizes, {"spans_per_core_s": 1e5, "facts": facts})
    calls = cost.DEMO["llm_gateway_calls"]
    assert found["bytes"] == round(1e8 * sum(cost.DEMO.values()) / calls)
    assert found["spans_core_s"] == pytest.approx(10 * cost.DEMO["otel_traces"] / calls, abs=0.1)
    rows = sum(cost.DEMO[table] for table in tables)
    assert found["facts_core_s"]["small"] == pytest.approx(rows / calls, abs=0.1)
