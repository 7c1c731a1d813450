"""Receiver, store and agent killed at random points: acknowledged is stored, once.

`make kill-loop KILLS=200 SEED=7` runs it longer, or again with the seed that it prints, and writes
what came of it to `benchmarks/results/kills.json`.
"""

import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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
from tests.stack.kill_figures import count
from tests.stack.kill_parts import Sender, Victim, senders

KILLS = int(os.environ.get("KILLS", "40"))
SEED = int(os.environ.get("SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
FIGURES = os.environ.get("KILLS_FILE", "")
"""Where the figures go, besides the terminal; nowhere else if empty."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300 + 15 * KILLS)]


@pytest.fixture
def victims(folder: Path) -> Iterator[dict[str, Victim]]:
    """Both programs, ready; gone afterwards, however the test ends."""
    made = {
        name: Victim(name, environment(folder), folder / f"{name}.log") for name in ("up", "agent")
    }
    for victim in made.values():
        victim.start()
        victim.wait_ready()
    yield made
    for victim in made.values():
        victim.end()


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
        "BATCH_INTERVAL_S": 0.5,
        "OTLP_SEGMENT_AGE_S": 0.5,
        "STEP_SPAN_RATIO": 0.1,
        "RETENTION": "*=0",
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


def test_acknowledged_is_stored_once(
    folder: Path, victims: dict[str, Victim], capsys: pytest.CaptureFixture[str]
) -> None:
    """Every span, log record and fact once; rollups equal the aggregation of their tables."""
    dice = random.Random(SEED)
    with capsys.disabled():
        print(f"\nkill loop: {KILLS} kills, seed {SEED}")  # noqa: T201  to run it again
    settings = Settings(journal_dir=str(folder / "journals"), state_dir=str(folder / "state"))
    engine, threads = Engine(settings), senders(folder / "data")
    for thread in (engine, *threads):
        thread.start()
    killed = kill_at_random(dice, victims)
    finish(victims, engine, threads, settings)
    running = runfile.read(folder / "data")
    assert running is not None
    limit_s = 60.0 + KILLS
    wait_for(lambda: metric(running, "otel_llm_otlp_spool_bytes") == 0, "an empty spool", limit_s)
    client = connect(data_dir=str(folder / "data"))
    figures = {
        "taken": time.strftime("%Y-%m-%d", time.gmtime()), "seed": SEED, "kills": killed.total(),
        "killed": killed, **count(client, engine, threads),
    }  # fmt: skip
    tell(figures, capsys)
    assert (figures["lost_after_kill"], figures["doubled_after_kill"]) == (0, 0)
    check_rollups(client)
    client.close()
    for victim in victims.values():
        assert victim.end(signal.SIGTERM) == 0
    assert not any((folder / "data" / "spool" / "quarantine").iterdir())


def tell(figures: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    """Print the figures, and write them if they are wanted: also those of a run that fails."""
    with capsys.disabled():
        print(json.dumps(figures))  # noqa: T201
    if FIGURES:
        Path(FIGURES).write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


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
    # It is behind by what the store could not take while it was down.
    limit_s = 60.0 + KILLS
    wait_for(lambda: spool_is_empty(settings), "an agent that has delivered all", limit_s)


def metric(running: runfile.RunFile, name: str) -> float:
    """A value of the receiver's metrics page."""
    page = httpx.get(f"{running.otlp_url}/metrics", trust_env=False).text
    for family in text_string_to_metric_families(page):
        if family.name == name:
            return family.samples[0].value
    raise AssertionError(name)


def check_rollups(client: Client) -> None:
    """Rollups equal the aggregation of their tables."""
    assert read(client, REQUESTS_READ) == read(client, REQUESTS_BASE)
    check_traces(client)


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
