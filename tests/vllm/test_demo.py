"""`otel-llm demo --engine vllm` as a user runs it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from otel_llm.exporters.clickhouse.client import connect

pytestmark = [pytest.mark.vllm, pytest.mark.slow, pytest.mark.timeout(600)]

SHOWN = {
    "given up in the queue": "SELECT count() FROM llm_requests WHERE scheduled IS NULL",
    "given up in prefill": (
        "SELECT count() FROM llm_requests WHERE scheduled IS NOT NULL AND first_token IS NULL"
    ),
    "given up in decode": (
        "SELECT count() FROM llm_requests WHERE outcome = 'cancelled' AND first_token IS NOT NULL"
    ),
    "two samples": "SELECT countIf(sample_index = 1) FROM llm_requests",
    "preempted": "SELECT countIf(preemptions > 0) FROM llm_requests",
    "from the prefix cache": "SELECT countIf(cached_tokens > 0) FROM llm_requests",
    "prefilled in chunks": (
        "SELECT count() FROM (SELECT request_index FROM llm_step_requests WHERE phase = 0 "
        "GROUP BY instance_id, request_index HAVING count() > 1)"
    ),
    "batched with others": "SELECT count() FROM llm_steps WHERE length(request_index) > 1",
    "step spans": "SELECT count() FROM otel_traces WHERE SpanName = 'llm.step'",
}


def test_the_demo_is_the_same_on_a_real_vllm(vllm_cli: Path, tmp_path: Path) -> None:
    """Every call is complete, and all that one vLLM can show has happened; kernels it has none."""
    command = [sys.executable, "-m", "otel_llm.cli.main", "demo", "--engine", "vllm", "--json"]
    command += ["--vllm", str(vllm_cli), "--dir", str(tmp_path / "d")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr[-4000:]
    told = json.loads(done.stdout.splitlines()[-1])

    assert told["problems"] == {}
    assert done.returncode == 0
    assert told["complete"] == told["requests"] == 200
    assert told["lost_records"] == 0
    assert told["kernels"] == 0
    assert told["finish_to_row_p95_s"] <= 5.0
    assert told["by_outcome"]["shed"] > 0

    store = connect(data_dir=str(tmp_path / "d" / "data"))
    assert store.query("SELECT DISTINCT engine FROM llm_requests").result_rows == [("vllm",)]
    # Stopped in order: nothing is taken for a death.
    events = store.query("SELECT DISTINCT event FROM llm_engine_events ORDER BY event").result_rows
    assert events == [("started",), ("stopped",)]
    found = {what: store.query(sql).result_rows[0][0] for what, sql in SHOWN.items()}
    assert {what for what, count in found.items() if count == 0} == set()
