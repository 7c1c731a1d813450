"""The real agent, killed again and again while a real engine writes: every fact comes once."""

import contextlib
import multiprocessing
import random
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from otel_llm.agent.database import FILE_NAME
from otel_llm.agent.run import run
from otel_llm.clock import MonotonicNs
from otel_llm.facts import RequestDelivered
from otel_llm.journal.writer import open_journal
from otel_llm.recorder import Recorder
from otel_llm.settings import Settings
from tests.agent.fake_sinks import HANG_UP, OK, FakeSinks
from tests.waiting import PATIENCE_S

KILLS = 22
SECOND = 1_000_000_000
SEED = 7
PRELOADED = [
    "otel_llm.agent.run",
    # Imported by these libraries only when they are used first.
    "clickhouse_connect.driver.httpclient",
    "pyarrow.ipc",
    "uvicorn.loops.auto",
    "uvicorn.protocols.http.auto",
    "uvicorn.protocols.websockets.auto",
]


class Engine(threading.Thread):
    """Writes requests, steps and kernels until told to stop.

    An API server with a journal of its own takes every other request, and lets go of it some time
    after the core did.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.recorder = Recorder.open(
            engine="reference", engine_version="1", model="tiny", service="svc", settings=settings
        )
        self.frontend = open_journal(
            kind="frontend", service="svc", engine="reference", engine_version="1",
            settings=settings,
        )  # fmt: skip
        self.undelivered: list[str] = []
        self.stopping = threading.Event()
        self.requests = self.steps = self.kernels = 0

    def run(self) -> None:
        """Serve one small batch after the other."""
        while not self.stopping.wait(0.02):
            self.deliver()
            self.serve_batch()
        self.deliver()
        self.recorder.close()
        self.frontend.close()

    def deliver(self) -> None:
        """The API server lets go of what the core finished a batch ago."""
        for request_id in self.undelivered:
            now = MonotonicNs(time.monotonic_ns())
            self.frontend.write(
                RequestDelivered(
                    request_id, "", "chat", "tiny", MonotonicNs(now - SECOND), now, "finished",
                    "stop", prompt_tokens=3, output_tokens=2, first_output_ns=now,
                )
            )  # fmt: skip
        self.undelivered.clear()

    def serve_batch(self) -> None:
        """Two requests that share two steps."""
        handles = []
        for frontend in ("", self.frontend.instance_id):
            self.requests += 1
            if frontend:
                self.undelivered.append(f"r{self.requests}")
            handles.append(
                self.recorder.request_arrived(
                    request_id=f"r{self.requests}",
                    api_request_id=f"a{self.requests}",
                    operation="chat",
                    model="tiny",
                    prompt_tokens=3,
                    frontend=frontend,
                )
            )
            handles[-1].queued()
            handles[-1].scheduled(cached_tokens=0)
        indices = [handle.index for handle in handles]
        for phase, tokens in ((b"\0\0", 3), (b"\1\1", 1)):
            seq = self.recorder.step_scheduled(
                request_index=indices, phase=phase, tokens=[tokens] * 2, context=[0] * 2
            )
            self.recorder.step_done(seq, emitted=[1, 1])
            now = time.monotonic_ns()
            self.recorder.kernels(
                seq, source="cpu", device="cpu:0", names=["gemm", "norm"], name_index=[0, 1, 0],
                start_ns=[now - 30, now - 20, now - 10], duration_ns=[5, 6, 7],
            )  # fmt: skip
            self.steps += 1
            self.kernels += 3
        for handle in handles:
            handle.first_token()
            handle.first_output()
            handle.finished(outcome="finished", finish_reason="stop", output_tokens=2)


@pytest.fixture
def start_agent(settings: Settings) -> Iterator[Callable[[], multiprocessing.Process]]:
    """Start an agent process; forked from a server that has imported everything already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    started: list[multiprocessing.Process] = []

    def start() -> multiprocessing.Process:
        process = context.Process(target=run, args=(settings,))
        process.start()
        started.append(process)  # type: ignore[arg-type]
        return process  # type: ignore[return-value]

    yield start
    for process in started:
        process.kill()
        process.join()
        process.close()


def test_killed_again_and_again(
    settings: Settings,
    sinks: FakeSinks,
    start_agent: Callable[[], multiprocessing.Process],
    wait: Callable[[Callable[[], bool]], None],
) -> None:
    """Killed at any point and started within ring time, the agent loses and doubles nothing."""
    dice = random.Random(SEED)
    # A fifth of all deliveries is taken but not acknowledged: these must come again, unchanged.
    sinks.behave = lambda _sink: HANG_UP if dice.random() < 0.2 else OK
    engine = Engine(settings)
    engine.start()
    for number in range(KILLS):
        # One in six dies while it starts, the others some deliveries later.
        deliveries = dice.randint(1, 6) if number % 6 else 0
        goal = len(sinks.deliveries) + deliveries
        agent = start_agent()
        wait(lambda goal=goal: len(sinks.deliveries) >= goal)  # type: ignore[misc]
        time.sleep(dice.uniform(0.0, 0.05))
        assert agent.is_alive()
        agent.kill()
        agent.join()
    engine.stopping.set()
    engine.join()
    last = start_agent()
    wait(lambda: spool_is_empty(settings) and len(sinks.rows("llm_engine_events")) == 4)
    last.terminate()
    last.join(PATIENCE_S)
    assert last.exitcode == 0
    check(engine, sinks)


def spool_is_empty(settings: Settings) -> bool:
    """Whether the agent has delivered all that it has saved."""
    with contextlib.closing(sqlite3.connect(Path(settings.state_dir) / FILE_NAME)) as connection:
        [[count]] = connection.execute("SELECT count(*) FROM batches")
    return bool(count == 0)


def check(engine: Engine, sinks: FakeSinks) -> None:
    """Every fact once, whole, in its own bytes."""
    requests = sinks.rows("llm_requests")
    assert Counter(row["request_index"] for row in requests) == Counter(
        range(1, engine.requests + 1)
    )
    assert not any(row["incomplete"] for row in requests)
    paired = [row["request_index"] for row in requests if row["delivered_tokens"] == 2]
    assert sorted(paired) == list(range(2, engine.requests + 1, 2))
    steps = sinks.rows("llm_steps")
    assert Counter(row["seq"] for row in steps) == Counter(range(1, engine.steps + 1))
    assert {row["status"] for row in steps} == {"done"}
    assert len(sinks.rows("llm_kernels")) == engine.kernels
    with_kernels = {row["step_seq"] for row in sinks.rows("llm_kernels")}
    sums = sinks.rows("llm_step_kernels")
    assert Counter(row["step_seq"] for row in sums) == Counter(with_kernels)
    assert sum(sum(row["kernels"]) for row in sums) == engine.kernels
    totals = sinks.rows("llm_kernels_10s")
    assert sum(row["kernels"] for row in totals) == engine.kernels
    events = Counter((row["kind"], row["event"]) for row in sinks.rows("llm_engine_events"))
    assert events == {
        (kind, event): 1 for kind in ("engine", "frontend") for event in ("started", "stopped")
    }
    assert sinks.changed == []
    assert {("clickhouse", HANG_UP), ("otlp", HANG_UP)} <= set(sinks.deliveries)
    check_spans(engine, sinks, sampled={row["seq"] for row in steps if row["span_id"]})


def check_spans(engine: Engine, sinks: FakeSinks, sampled: set[int]) -> None:
    """Four spans per request, two more where it was paired, and those of sampled steps, once."""
    ids = Counter((span.trace_id, span.span_id) for span in sinks.spans)
    assert set(ids.values()) == {1}
    assert len(ids) == 5 * engine.requests + len(sampled) * (1 + 3)
    assert 0 < len(sampled) < engine.steps
