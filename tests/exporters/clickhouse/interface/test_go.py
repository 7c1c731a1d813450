"""clickhouse-go, the driver of the collector and of Grafana, against the interface."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from otel_llm.collector.stack import Stack

PROGRAM = Path(__file__).parents[3] / "go" / "clickhouse"
_RESULT = re.compile(r"^--- (PASS|FAIL|SKIP): (\w+)", re.MULTILINE)


@pytest.mark.go
@pytest.mark.timeout(600)
def test_clickhouse_go_writes_and_reads(stack: Stack) -> None:
    """Its rows, types, streams, errors, users and threads, in each of its compressions."""
    secrets = Path(stack.run.token_file)
    environment = {
        **os.environ,
        "CLICKHOUSE_ADDR": stack.run.clickhouse_url.removeprefix("http://"),
        "CLICKHOUSE_TOKEN": secrets.read_text().strip(),
        "CLICKHOUSE_READ_TOKEN": secrets.with_name("token_read").read_text().strip(),
        "GOFLAGS": "-p=1 -buildvcs=false",
    }
    command = ["go", "test", "-count=1", "-v", "./..."]
    ran = subprocess.run(
        command, cwd=PROGRAM, env=environment, capture_output=True, text=True, check=False
    )
    results = _RESULT.findall(ran.stdout)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert {result for result, _ in results} == {"PASS"}
    assert {name for _, name in results} == set(_tests())


def _tests() -> list[str]:
    text = (PROGRAM / "interface_test.go").read_text()
    return re.findall(r"^func (Test\w+)", text, re.MULTILINE)
