"""Every panel's SQL as Grafana asks it: its plugin SDK over clickhouse-go, as who may read."""

import json
import os
import subprocess
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks.dashboards import boards, check, large, macros
from benchmarks.dashboards.ask import Asker
from benchmarks.store.fill import SQL, STEP_NS, Size
from benchmarks.store.measure import trace_id
from otel_llm.collector.stack import Stack
from otel_llm.dashboards.build import GENERATED
from otel_llm.exporters.clickhouse.client import connect

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

PROGRAM = Path(__file__).parents[3] / "go" / "grafana"
FILLED = ("spans", "requests", "calls", "attempts", "events")


@pytest.mark.go
@pytest.mark.timeout(1200)
def test_grafana_reads_every_panel(stack: Stack) -> None:
    """Each gives a frame with the columns and rows that another driver reads."""
    token = Path(stack.run.token_file)
    with closing(connect(url=stack.run.clickhouse_url, token=token.read_text().strip())) as client:
        statements = _filled(client)
        frames = _asked(stack, token.with_name("token_read"), statements)
        assert {name: one["failed"] for name, one in frames.items() if "failed" in one} == {}
        assert set(frames) == set(statements)
        for name, sql in statements.items():
            expected = client.query(sql)
            assert tuple(frames[name]["names"]) == expected.column_names, name
            assert frames[name]["rows"] == expected.row_count, name
    assert sum(one["rows"] > 0 for one in frames.values()) > len(frames) / 2


def _filled(client: "Client") -> dict[str, str]:
    """Put rows into the store, and give the SQL of each panel that looks at them, by its name."""
    size = Size(4000, time.time_ns() - 600 * 1_000_000_000)
    for name in FILLED:
        rows = size.steps if name == "spans" else size.requests
        given = {"base_ns": size.base_ns, "step_ns": STEP_NS, "first": 0, "rows": rows}
        client.command((SQL / f"{name}.sql").read_text(), parameters=given)
    begin_ms, now_ms = size.base_ns // 1_000_000 - 60_000, time.time_ns() // 1_000_000
    looked_at = macros.Range(begin_ms, now_ms, 10, 60)
    all_boards = boards.load(GENERATED)
    chosen = check.choices(Asker(client, "", looked_at), all_boards)
    chosen |= {"trace": trace_id(7)}
    return {
        f"{panel.name} {number}": macros.sql(text, looked_at, chosen)
        for panel in large._panels(all_boards)
        for number, text in enumerate(panel.texts)
    }


def _asked(stack: Stack, token: Path, statements: dict[str, str]) -> dict[str, dict[str, Any]]:
    environment = {
        "CLICKHOUSE_ADDR": stack.run.clickhouse_url.removeprefix("http://"),
        "CLICKHOUSE_READ_TOKEN": token.read_text().strip(),
        "GOFLAGS": "-p=1 -buildvcs=false",
    }
    ran = subprocess.run(
        ["go", "run", "."], cwd=PROGRAM, env=os.environ | environment,
        input=json.dumps(statements), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    frames: dict[str, dict[str, Any]] = json.loads(ran.stdout)
    return frames
