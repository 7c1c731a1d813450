"""Collectors killed and restarted, ClickHouse away: every row arrives, and how many twice."""

import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.deploy.collector.conftest import Demo, MakeTiers, Tiers
from tests.deploy.collector.traffic import count, rows, send_all, wait_rows

pytestmark = [pytest.mark.go, pytest.mark.timeout(400)]


def sending(tiers: Tiers, demo: Demo, pause_s: float) -> threading.Thread:
    """Send all of the demo in a thread of its own."""
    given = (tiers.url, demo.sent, tiers.token, pause_s)
    thread = threading.Thread(target=send_all, args=given)
    thread.start()
    return thread


def settled(data_dir: Path, expected: Sequence[str], limit_s: float = 90) -> Counter[str]:
    """The rows once all are there and no more come."""
    wait_rows(data_dir, len(expected), limit_s=limit_s)
    deadline = time.monotonic() + limit_s
    while set(expected) - set(rows(data_dir, "otel_traces")):
        assert time.monotonic() < deadline, "rows are missing"
        time.sleep(0.5)
    before = -1
    while (now := count(data_dir)) != before:
        before = now
        time.sleep(1.5)
    return Counter(rows(data_dir, "otel_traces"))


def test_a_killed_gateway_loses_nothing(demo: Demo, tiers: MakeTiers) -> None:
    """Killed at any moment, five times: what it had taken is in its queue, and arrives."""
    made = tiers()
    moments = random.Random(8)
    thread = sending(made, demo, 0.05)
    for _ in range(5):
        time.sleep(moments.uniform(0.2, 1.0))
        made.gateways[0].stop(signal.SIGKILL)
        made.gateways[0].start()
    thread.join()
    found = settled(made.data_dir, demo.spans)
    assert set(found) == set(demo.spans)
    # The agent sends again what was not answered, which is one request for each kill at most.
    most = 5 * max_spans(demo)
    assert found.total() - len(demo.spans) <= most


def test_a_killed_agent_loses_nothing(demo: Demo, tiers: MakeTiers) -> None:
    """Killed five times while senders send: what it had acknowledged arrives."""
    made = tiers()
    moments = random.Random(9)
    thread = sending(made, demo, 0.05)
    for _ in range(5):
        time.sleep(moments.uniform(0.2, 1.0))
        made.agent.stop(signal.SIGKILL)
        made.agent.start()
    thread.join()
    found = settled(made.data_dir, demo.spans)
    assert set(found) == set(demo.spans)
    # A sender sends again what was not answered; so does the agent. Both are the same requests.
    assert found.total() - len(demo.spans) <= 10 * max_spans(demo)


def max_spans(demo: Demo) -> int:
    """A bound on the spans of one request: those of all of them."""
    return len(demo.spans) // 10


def test_clickhouse_away_for_a_minute(demo: Demo, tiers: MakeTiers) -> None:
    """Everything sent meanwhile waits on the gateways' disk, also through their restart."""
    made = tiers()
    half = len(demo.sent) // 2
    send_all(made.url, demo.sent[:half], made.token)
    made.store.kill("up")
    gone = time.monotonic()
    send_all(made.url, demo.sent[half:], made.token)
    time.sleep(5)
    made.gateways[0].stop(signal.SIGKILL)
    made.gateways[0].start()
    time.sleep(max(0.0, 60 - (time.monotonic() - gone)))
    made.store.start_up()
    found = settled(made.data_dir, demo.spans)
    assert found == Counter(demo.spans)


def test_stopped_tiers_start_where_they_were(demo: Demo, tiers: MakeTiers) -> None:
    """A stop while ClickHouse is away, as at an upgrade of everything, loses nothing."""
    made = tiers()
    made.store.stop("up")
    send_all(made.url, demo.sent, made.token)
    for collector in reversed(made.collectors):
        collector.stop()
    made.store.start_up()
    for collector in made.collectors:
        collector.start()
    assert settled(made.data_dir, demo.spans) == Counter(demo.spans)
