"""`otel-llm demo` as a user runs it, and what it must contain."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from otel_llm.exporters.clickhouse.client import connect

pytestmark = [pytest.mark.slow, pytest.mark.timeout(420)]

PHASES = ("cancelled_before_schedule", "cancelled_in_prefill", "cancelled_in_decode")


def test_the_default_demo_shows_every_kind_of_trouble(tmp_path: Path) -> None:
    """Every call is complete, and all that the demo is to show has happened."""
    command = [sys.executable, "-m", "otel_llm.cli.main", "demo", "--json", "--dir", tmp_path / "d"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    told = json.loads(done.stdout.splitlines()[-1])

    assert told["problems"] == {}
    assert told["complete"] == told["requests"] >= 300
    assert told["lost_records"] == 0
    assert told["steps"] > 0
    assert told["kernels"] > told["steps"]
    assert told["kernel_sources"] == ["cpu"]  # none of a GPU, and none of a fake
    assert told["finish_to_row_p95_s"] <= 5.0
    for phase in PHASES:
        assert told["by_outcome"].get(phase, 0) >= 0.05 * told["requests"], phase
    assert told["by_outcome"]["shed"] > 0

    store = connect(data_dir=str(tmp_path / "d" / "data"))
    counts = {
        "retried": "SELECT count() FROM llm_gateway_calls WHERE attempts > 1",
        "breaker probed after opening": "SELECT countIf(breaker = 'half_open') FROM llm_attempts",
        "two samples": "SELECT countIf(sample_index = 1) FROM llm_requests",
        "preempted": "SELECT countIf(preemptions > 0) FROM llm_requests",
        "from the prefix cache": "SELECT count() FROM llm_requests WHERE cached_tokens > 0",
        "prefilled in chunks": (
            "SELECT count() FROM (SELECT request_index FROM llm_step_requests WHERE phase = 0 "
            "GROUP BY instance_id, request_index HAVING count() > 1)"
        ),
        "batched with others": "SELECT count() FROM llm_steps WHERE length(request_index) > 1",
        "step spans": "SELECT count() FROM otel_traces WHERE SpanName = 'llm.step'",
    }
    found = {what: store.query(sql).result_rows[0][0] for what, sql in counts.items()}
    assert {what for what, count in found.items() if count == 0} == set()
