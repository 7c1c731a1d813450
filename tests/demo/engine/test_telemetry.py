"""What the engine records of itself adds up, read back from its journal."""

import asyncio
import threading
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import httpx
import msgspec
import pytest

from otel_llm.clock import MonotonicNs
from otel_llm.demo.engine.call import Call
from otel_llm.demo.engine.config import EngineConfig, ModelConfig, SchedulerConfig
from otel_llm.demo.engine.core import EngineCore
from otel_llm.demo.engine.events import EngineEvents
from otel_llm.demo.engine.executor import Executor
from otel_llm.demo.engine.scheduler import Plan
from otel_llm.demo.engine.sequence import Sampling, Sequence
from otel_llm.demo.engine.server import create_app
from otel_llm.demo.engine.telemetry import RecordedEvents
from otel_llm.facts.kernel import StepKernels
from otel_llm.facts.request import RequestArrived, RequestFinished
from otel_llm.facts.step import PHASE_DECODE, PHASE_PREFILL, StepDone, StepScheduled
from otel_llm.journal.reader import JournalReader
from otel_llm.recorder import Recorder
from otel_llm.settings import Settings
from otel_llm.testing import Swallowed, collect_swallowed
from tests.waiting import PATIENCE_S

CONFIG = EngineConfig(
    name="engine-a",
    model_name="m",
    model=ModelConfig(layers=1, dim=16, heads=2, kv_heads=1, head_dim=8, ffn=16),
    scheduler=SchedulerConfig(
        token_budget=16, max_running=8, max_waiting=64, blocks=24, block_size=4, max_model_len=80
    ),
)
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
Fact = TypeVar("Fact", bound=msgspec.Struct)


class Facts:
    """All facts of one journal."""

    def __init__(self, path: Path) -> None:
        reader = JournalReader.open(path)
        self.producer = reader.producer
        self.all: list[Any] = []
        while records := reader.read():
            self.all += records
        self.clean = reader.counters.clean_close
        reader.close()

    def of(self, kind: type[Fact]) -> list[Fact]:
        """Those of one kind."""
        return [fact for fact in self.all if isinstance(fact, kind)]


@pytest.fixture(autouse=True)
def swallowed() -> Iterator[Swallowed]:
    """Fails a test in which instrumentation raised anything."""
    with collect_swallowed() as seen:
        yield seen
    assert seen == []


def recorder(folder: Path, *, enabled: bool = True) -> Recorder:
    """A recorder with a small journal in `folder`."""
    settings = Settings(journal_dir=str(folder), journal_bytes=4 << 20, enabled=enabled)
    return Recorder.open(
        engine="reference", engine_version="1", model="m", service="engine-a", settings=settings
    )


def journals(folder: Path) -> list[Path]:
    """The journals in `folder`."""
    return list(folder.glob("*.journal"))


async def serve(events: EngineEvents, *bodies: dict[str, Any]) -> list[int]:
    """Serve the bodies at once; the statuses they were answered with."""
    app = create_app(CONFIG, events)
    transport = httpx.ASGITransport(app)
    headers = {"traceparent": TRACEPARENT, "tracestate": "otelllm=t:a"}
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=transport, base_url="http://engine", headers=headers, timeout=PATIENCE_S
        ) as client,
    ):
        responses = await asyncio.gather(
            *(client.post("/v1/completions", json={"model": "m", **each}) for each in bodies)
        )
    return [response.status_code for response in responses]


async def facts_of(folder: Path, *bodies: dict[str, Any]) -> Facts:
    """The facts that an engine leaves which served the bodies at once."""
    await serve(RecordedEvents(recorder(folder)), *bodies)
    [journal] = journals(folder)
    return Facts(journal)


def load() -> list[dict[str, Any]]:
    """Calls that share prefixes, need preemptions, have samples and end early."""
    bodies = [{"prompt": [each % 3] * 30, "max_tokens": 40} for each in range(6)]
    return [*bodies, {"prompt": "hello", "n": 3, "max_tokens": 1}, {"prompt": "x", "stream": True}]


async def test_tokens_of_steps_add_up_to_each_requests_account(tmp_path: Path) -> None:
    """Scheduled = prompt - cached + output - 1 + recomputed, and emitted = output."""
    facts = await facts_of(tmp_path, *load())
    scheduled: dict[int, int] = defaultdict(int)
    emitted: dict[int, int] = defaultdict(int)
    results = {done.seq: done for done in facts.of(StepDone)}
    for step in facts.of(StepScheduled):
        for row, index in enumerate(step.request_index):
            scheduled[index] += step.tokens[row]
            emitted[index] += results[step.seq].emitted[row]
    arrived = {each.index: each for each in facts.of(RequestArrived)}
    finished = facts.of(RequestFinished)
    assert len(finished) == len(arrived) == 10
    for end in finished:
        owed = arrived[end.index].prompt_tokens - end.cached_tokens + end.output_tokens - 1
        assert scheduled[end.index] == owed + end.recomputed_tokens
        assert emitted[end.index] == end.output_tokens
        assert (end.outcome, end.finish_reason) == ("finished", "length")
    assert sum(end.preemptions for end in finished) > 0
    assert sum(end.cached_tokens for end in finished) > 0
    assert facts.clean


async def test_a_requests_times_follow_each_other(tmp_path: Path) -> None:
    """Arrival, queue, schedule, first token, its handling, end; the same stamps as its steps'."""
    facts = await facts_of(tmp_path, *load())
    arrived = {each.index: each.arrival_ns for each in facts.of(RequestArrived)}
    first_step: dict[int, int] = {}
    for step in facts.of(StepScheduled):
        for index in step.request_index:
            first_step.setdefault(index, step.schedule_ns)
    results = {done.result_ns for done in facts.of(StepDone)}
    for end in facts.of(RequestFinished):
        stamps = [
            arrived[end.index], end.queued_ns, end.scheduled_ns, end.first_token_ns,
            end.first_output_ns, end.finished_ns,
        ]  # fmt: skip
        known = [stamp for stamp in stamps if stamp is not None]
        assert len(known) == 6
        assert known == sorted(known)
        assert end.scheduled_ns == first_step[end.index]
        assert {end.first_token_ns, end.last_token_ns} <= results


async def test_kernels_lie_inside_their_step(tmp_path: Path) -> None:
    """Operations follow each other between schedule and result, inside the execution's time."""
    facts = await facts_of(tmp_path, *load())
    results = {done.seq: done for done in facts.of(StepDone)}
    kernels = {each.seq: each for each in facts.of(StepKernels)}
    steps = facts.of(StepScheduled)
    assert len(steps) == len(kernels) == len(results)
    for step in steps:
        each, done = kernels[step.seq], results[step.seq]
        assert (each.source, each.device) == ("cpu", "cpu:0")
        names = {each.names[index] for index in each.name_index}
        assert {"qkv_gemm", "mlp_gemm", "lm_head_gemm"} <= names
        at: int = step.schedule_ns
        for offset, duration in zip(each.offset_ns, each.duration_ns, strict=True):
            assert each.base_ns + offset >= at
            at = each.base_ns + offset + duration
        assert at <= done.result_ns
        assert done.execute_ns is not None
        assert sum(each.duration_ns) <= done.execute_ns


async def test_a_step_holds_its_batch(tmp_path: Path) -> None:
    """Phases, contexts and the cache's fill of a single request, step by step."""
    facts = await facts_of(tmp_path, {"prompt": [1] * 20, "max_tokens": 3})
    seen = [
        (step.seq, step.request_index, step.phase, step.tokens, step.context, step.kv_used)
        for step in facts.of(StepScheduled)
    ]
    prefill, decode = bytes([PHASE_PREFILL]), bytes([PHASE_DECODE])
    assert seen == [
        (1, [1], prefill, [16], [0], 4),
        (2, [1], prefill, [4], [16], 5),
        (3, [1], decode, [1], [20], 6),
        (4, [1], decode, [1], [21], 6),
    ]
    assert {(step.running, step.waiting, step.kv_total) for step in facts.of(StepScheduled)} == {
        (1, 0, 24)
    }
    assert [done.emitted for done in facts.of(StepDone)] == [[0], [1], [1], [1]]


async def test_identity_and_trace_context_are_copied(tmp_path: Path) -> None:
    """Samples are tied by the call's id; the headers are kept as received."""
    facts = await facts_of(tmp_path, {"prompt": "hello", "n": 2, "max_tokens": 4})
    first, second = facts.of(RequestArrived)
    assert first.api_request_id == second.api_request_id
    assert [first.request_id, second.request_id] == [f"{first.api_request_id}-{n}" for n in (0, 1)]
    assert [(each.sample_index, each.sample_count) for each in (first, second)] == [(0, 2), (1, 2)]
    assert (first.traceparent, first.tracestate) == (TRACEPARENT, "otelllm=t:a")
    assert (first.operation, first.model, first.max_tokens) == ("text_completion", "m", 4)
    assert (facts.producer.engine, facts.producer.service) == ("reference", "engine-a")


async def test_a_failed_step_fails_its_requests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Outcome `failed` with the error's class; the step has no second half."""

    def fail(_self: Executor, _plan: Plan) -> list[int]:
        raise ZeroDivisionError

    monkeypatch.setattr(Executor, "run", fail)
    facts = await facts_of(tmp_path, {"prompt": "hello"})
    [end] = facts.of(RequestFinished)
    assert (end.outcome, end.finish_reason) == ("failed", "error")
    assert (end.error_type, end.first_token_ns) == ("ZeroDivisionError", None)
    assert len(facts.of(StepScheduled)) == 1
    assert facts.of(StepDone) == []


class HeldEvents(RecordedEvents):
    """Holds the engine after its third step was scheduled."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__(recorder)
        self.held, self.gate = threading.Event(), threading.Event()
        self._steps = 0

    def scheduled(self, plan: Plan) -> None:
        """Record, then hold in the third step."""
        super().scheduled(plan)
        self._steps += 1
        if self._steps == 3:
            self.held.set()
            assert self.gate.wait(PATIENCE_S)


def test_an_abort_is_a_cancelled_request(tmp_path: Path) -> None:
    """Aborted with a decode in flight: `cancelled` by `abort`, that step's token thrown away."""
    events = HeldEvents(recorder(tmp_path))
    core = EngineCore(CONFIG, events)
    core.start(lambda deliver, outputs: deliver(outputs))
    sequence = Sequence("a-0", [1, 2], Sampling(max_tokens=70))
    core.submit(Call("a", "chat", "m", MonotonicNs(1), {}, [sequence]))
    assert events.held.wait(PATIENCE_S)
    core.abort([sequence])
    events.gate.set()
    core.stop()
    events.close()
    [journal] = journals(tmp_path)
    facts = Facts(journal)
    [end] = facts.of(RequestFinished)
    assert (end.outcome, end.finish_reason, end.output_tokens) == ("cancelled", "abort", 2)
    assert (end.discarded_tokens, end.unscheduled_tokens) == (1, 0)
    assert [done.emitted for done in facts.of(StepDone)] == [[1], [1], [0]]
    assert end.first_output_ns is None


async def test_the_engine_serves_with_recording_off(tmp_path: Path) -> None:
    """Nothing is written and the callers notice nothing."""
    statuses = await serve(RecordedEvents(recorder(tmp_path, enabled=False)), *load())
    assert set(statuses) == {200}
    assert journals(tmp_path) == []
