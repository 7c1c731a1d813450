"""A replay beside which a test may do harm, and the judgement afterwards."""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from clickhouse_connect.driver.client import Client

from otel_llm.demo import client, evidence
from otel_llm.demo.stack import Stack
from otel_llm.demo.watch import PhaseWatch
from otel_llm.demo.workload import PlannedCall, plan
from otel_llm.exporters.clickhouse.client import connect

Harm = Callable[[], object]


def replay(stack: Stack, calls: Sequence[PlannedCall], harm: Harm) -> list[client.Seen]:
    """Replay the calls in a thread, while `harm` is done in this one.

    In this one, because processes end with the thread that started them.
    """

    async def sending() -> list[client.Seen]:
        watch = PhaseWatch(Path(stack.journal_dir))
        return await client.replay(
            calls, stack.gateway_url, stack.engines.model, watch, lambda _: None
        )

    with ThreadPoolExecutor(1) as pool:
        seen = pool.submit(lambda: asyncio.run(sending()))
        harm()
        return seen.result()


def calls(count: int, within_s: float) -> list[PlannedCall]:
    """Planned calls that arrive within so many seconds."""
    planned = plan(count)
    return plan(count, planned[-1].at_s / within_s)


def ordinary(count: int) -> list[PlannedCall]:
    """Streamed calls of one sample that nobody gives up, within a few seconds."""
    found = [c for c in calls(200, 20.0) if c.stream and c.samples == 1 and c.give_up == "never"]
    return found[:count]


def store(stack: Stack) -> Client:
    """A client of the stack's ClickHouse interface."""
    return connect(data_dir=str(stack.data_dir))


def wait_for(condition: Callable[[], bool], what: str, timeout_s: float = 60.0) -> None:
    """Poll until the condition holds.

    Raises:
        AssertionError: it did not hold in time.
    """
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not in {timeout_s} s: {what}"
        time.sleep(0.1)


def verdict(stack: Stack, seen: Sequence[client.Seen]) -> evidence.Verdict:
    """Stop the producers, wait for the last fact, and judge."""
    stack.stop("gateway", *stack.engine_names)
    found = store(stack)
    wait_for(lambda: evidence.settled(found, seen), "all calls and server spans in the store")
    lost = evidence.lost_records(evidence.fetch_metrics(stack.agent_url))
    stack.stop("agent")
    return evidence.judge(found, seen, lost)
