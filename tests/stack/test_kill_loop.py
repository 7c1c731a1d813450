"""Receiver, store and agent killed at random points: acknowledged is stored, once.

`make kill-loop KILLS=200 SEED=7` runs it longer, or again with the seed that it prints.
"""

import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from clickhouse_connect.driver.client import Client
from prometheus_client.parser import text_string_to_metric_families

from otel_llm import runfile
from otel_llm.exporters.clickhouse.client import connect
from otel_llm.settings import Settings
from tests.agent.test_kill import Engine, spool_is_empty
from tests.exporters.clickhouse.schema.test_rollups import REQUESTS_BASE, REQUESTS_READ, read
from tests.stack.harness import wait_for
from tests.stack.kill_parts import PER_REQUEST, Sender, Victim, senders

KILLS = int(os.environ.get("KILLS", "40"))
SEED = int(os.environ.get("SEED", "0")) or random.SystemRandom().randrange(1, 10**6)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120 + 10 * KILLS)]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A directory for journals on tmpfs, and one for the rest."""
    for name in ("journals", "state", "data"):
        (tmp_path / name).mkdir(mode=0o700)
    return tmp_path


def environment(folder: Path) -> dict[str, str]:
    """The settings of both programs."""
    values = {
        "JOURNAL_DIR": folder / "journals",
        "STATE_DIR": folder / "state",
        "DATA_DIR": folder / "data",
        "CLICKHOUSE_PORT": 0,
        "OTLP_HTTP_PORT": 0,
        "OTLP_GRPC_PORT": 0,
        "AGENT_PORT": 0,
        "BATCH_INTERVAL_S": 0.1,
        "OTLP_SEGMENT_AGE_S": 0.1,
        "STEP_SPAN_RATIO": 0.1,
    }
    return {f"OTEL_LLM_{name}": str(value) for name, value in values.items()}


def kill_at_random(dice: random.Random, victims: dict[str, Victim]) -> Counter[str]:
    """Kill one or both, KILLS times; some while they start, most while they work."""
    killed: Counter[str] = Counter()
    while killed.total() < KILLS:
        names = dice.choice([["up"], ["up"], ["up"], ["agent"], ["up", "agent"]])
        time.sleep(dice.uniform(0.0, 1.0))
        for name in names:
            victims[name].end()
            killed[name] += 1
            victims[name].start()
        if dice.random() < 0.75:
            for name in names:
                victims[name].wait_ready()
        elif "up" in names:
            time.sleep(dice.uniform(0.0, 2.0))
    return killed


def test_acknowledged_is_stored_once(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every span, log record and fact once; rollups equal the aggregation of their tables."""
    dice = random.Random(SEED)
    with capsys.disabled():
        print(f"\nkill loop: {KILLS} kills, seed {SEED}")  # noqa: T201  to run it again
    settings = Settings(journal_dir=str(folder / "journals"), state_dir=str(folder / "state"))
    victims = {
        name: Victim(name, environment(folder), folder / f"{name}.log") for name in ("up", "agent")
    }
    for victim in victims.values():
        victim.start()
        victim.wait_ready()
    engine, threads = Engine(settings), senders(folder / "data")
    for thread in (engine, *threads):
        thread.start()
    killed = kill_at_random(dice, victims)
    finish(victims, engine, threads, settings)
    running = runfile.read(folder / "data")
    assert running is not None
    wait_for(lambda: metric(running, "otel_llm_otlp_spool_bytes") == 0, "an empty spool")
    client = connect(data_dir=str(folder / "data"))
    told = judge(client, engine, threads)
    client.close()
    for victim in victims.values():
        assert victim.end(signal.SIGTERM) == 0
    assert not any((folder / "data" / "spool" / "quarantine").iterdir())
    with capsys.disabled():
        print(json.dumps({"seed": SEED, "kills": killed.total(), "killed": killed, **told}))  # noqa: T201


def finish(
    victims: dict[str, Victim], engine: Engine, threads: "list[Sender]", settings: Settings
) -> None:
    """Start both a last time, let the senders get their last answers, and the agent deliver."""
    for victim in victims.values():
        victim.end()
        victim.start()
        victim.wait_ready()
    for thread in threads:
        thread.stop()
    engine.stopping.set()
    for thread in (engine, *threads):
        thread.join(60)
        assert not thread.is_alive()
    time.sleep(1.0)
    wait_for(lambda: spool_is_empty(settings), "an agent that has delivered all")


def metric(running: runfile.RunFile, name: str) -> float:
    """A value of the receiver's metrics page."""
    page = httpx.get(f"{running.otlp_url}/metrics", trust_env=False).text
    for family in text_string_to_metric_families(page):
        if family.name == name:
            return family.samples[0].value
    raise AssertionError(name)


def judge(client: Client, engine: Engine, threads: "list[Sender]") -> dict[str, int]:
    """Compare what is stored with what was acknowledged."""
    wanted = {name for thread in threads for name in thread.acknowledged}
    sql = """SELECT name, count() FROM (
        SELECT SpanName AS name FROM otel_traces WHERE ServiceName = 'kill'
        UNION ALL SELECT Body FROM otel_logs WHERE ServiceName = 'kill') GROUP BY name"""
    stored = dict(client.query(sql).result_rows)
    lost = sum(max(0, PER_REQUEST - stored.get(name, 0)) for name in wanted)
    doubled = sum(max(0, count - PER_REQUEST) for count in stored.values())
    assert (lost, doubled, set(stored) - wanted) == (0, 0, set())
    facts = client.query("SELECT request_index, count() FROM llm_requests GROUP BY 1").result_rows
    assert dict(facts) == dict.fromkeys(range(1, engine.requests + 1), 1)
    doubled_spans = """SELECT count() FROM (SELECT 1 FROM otel_traces
        GROUP BY TraceId, SpanId HAVING count() > 1)"""
    assert client.command(doubled_spans) == 0
    assert read(client, REQUESTS_READ) == read(client, REQUESTS_BASE)
    check_traces(client)
    tries = sum(thread.tries for thread in threads)
    return {"acknowledged": len(wanted), "tries": tries, "facts": len(facts), "lost": lost}


def check_traces(client: Client) -> None:
    """When each trace began and ended is what its spans say; a trace of one request has one row."""
    base = "SELECT TraceId, toDateTime(min(Timestamp)), toDateTime(max(Timestamp)) FROM otel_traces"
    rolled = "SELECT TraceId, min(Start), max(End) FROM otel_traces_trace_id_ts"
    end = "WHERE TraceId != '' GROUP BY TraceId ORDER BY TraceId"
    assert read(client, f"{rolled} {end}") == read(client, f"{base} {end}")
    rows = """SELECT max(c) FROM (SELECT count() AS c FROM otel_traces_trace_id_ts
        WHERE TraceId IN (SELECT TraceId FROM otel_traces WHERE ServiceName = 'kill')
        GROUP BY TraceId)"""
    assert client.command(rows) == 1
