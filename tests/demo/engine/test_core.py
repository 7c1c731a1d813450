"""The engine loop: delivery, aborts between steps, and what happens when a step fails."""

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from otel_llm.clock import MonotonicNs
from otel_llm.demo.engine.call import Call, Output
from otel_llm.demo.engine.config import EngineConfig, ModelConfig, SchedulerConfig
from otel_llm.demo.engine.core import EngineCore, EngineDeadError
from otel_llm.demo.engine.events import EngineEvents
from otel_llm.demo.engine.executor import Executor
from otel_llm.demo.engine.scheduler import Plan, QueueFullError
from otel_llm.demo.engine.sequence import Sampling, Sequence
from otel_llm.demo.engine.timing import KernelTimer
from tests.waiting import PATIENCE_S, until

CONFIG = EngineConfig(
    model=ModelConfig(layers=1, dim=16, heads=2, kv_heads=1, head_dim=8, ffn=16),
    scheduler=SchedulerConfig(
        token_budget=4, max_running=2, max_waiting=3, blocks=64, block_size=4, max_model_len=256
    ),
)


@dataclass
class HeldEvents(EngineEvents):
    """Holds the loop before each step until a permit is given; notes what happened."""

    permits: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    at_step: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    batches: list[list[str]] = field(default_factory=list)
    ended: list[tuple[str, str | None, str | None]] = field(default_factory=list)
    execute_ns: list[int] = field(default_factory=list)

    def scheduled(self, plan: Plan) -> None:
        """Note the batch, then wait for a permit."""
        self.batches.append([share.sequence.request_id for share in plan.shares])
        self.at_step.release()
        assert self.permits.acquire(timeout=PATIENCE_S)

    def done(self, plan: Plan, execute_ns: int, kernels: KernelTimer) -> None:
        """Note the time, and that every share was computed within the timed operations."""
        assert plan.shares
        assert sum(kernels.duration_ns) <= execute_ns
        self.execute_ns.append(execute_ns)

    def finished(self, sequence: Sequence, error_type: str | None = None) -> None:
        """Note the end."""
        self.ended.append((sequence.request_id, sequence.finish_reason, error_type))

    def allow(self, steps: int) -> None:
        """Let so many steps run."""
        for _ in range(steps):
            assert self.at_step.acquire(timeout=PATIENCE_S)
            self.permits.release()


@pytest.fixture
def events() -> HeldEvents:
    """The core's observer."""
    return HeldEvents()


@pytest.fixture
def core(events: HeldEvents) -> Iterator[EngineCore]:
    """A running core that delivers on its own thread."""
    subject = EngineCore(CONFIG, events)
    subject.start(lambda deliver, outputs: deliver(outputs))
    yield subject
    for _ in range(1000):
        events.permits.release()
    subject.stop()


def call(name: str, prompt: int = 3, max_tokens: int = 2, samples: int = 1) -> Call:
    """A call whose samples are named `<name>-<index>`."""
    sequences = [
        Sequence(f"{name}-{index}", [65 + index] * prompt, Sampling(max_tokens))
        for index in range(samples)
    ]
    return Call(name, "text_completion", "m", MonotonicNs(0), {}, sequences)


def outputs(of: Call) -> list[Output]:
    """What was delivered so far."""
    return [of.outputs.get_nowait() for _ in range(of.outputs.qsize())]


def test_each_step_delivers_its_tokens(core: EngineCore, events: HeldEvents) -> None:
    """A call gets one output per sampled token, the last with the reason."""
    subject = call("a", prompt=6, max_tokens=2)
    core.submit(subject)
    events.allow(3)
    until(lambda: subject.outputs.qsize() == 2)
    assert [each.finish_reason for each in outputs(subject)] == [None, "length"]
    assert all(nanoseconds > 0 for nanoseconds in events.execute_ns)


def test_an_abort_takes_effect_before_the_next_step(core: EngineCore, events: HeldEvents) -> None:
    """Aborted while a step runs: that step is its last, and its end is told once."""
    subject = call("a", max_tokens=50)
    core.submit(subject)
    events.allow(3)
    until(lambda: len(events.batches) == 4)
    core.abort(subject.sequences)
    core.submit(call("b"))
    events.allow(2)
    until(lambda: len(events.batches) >= 5)
    assert events.batches[3:5] == [["a-0"], ["b-0"]]
    assert ("a-0", "abort", None) in events.ended


def test_an_abort_after_the_end_tells_the_end_it_had(core: EngineCore, events: HeldEvents) -> None:
    """The engine finished; that the caller left before reading does not change it."""
    subject = call("a", max_tokens=1)
    core.submit(subject)
    events.allow(1)
    until(lambda: subject.outputs.qsize() == 1)
    core.abort(subject.sequences)
    until(lambda: events.ended == [("a-0", "length", None)])


def test_a_full_queue_sheds_the_whole_call(core: EngineCore, events: HeldEvents) -> None:
    """A shed call leaves no trace: neither arrival nor end is told."""
    core.submit(call("a", samples=2))
    until(lambda: len(events.batches) == 1)  # both run
    core.submit(call("b", samples=2))
    with pytest.raises(QueueFullError):
        core.submit(call("c", samples=2))
    core.submit(call("d"))
    assert not events.ended


def test_a_failed_step_fails_everybody_and_later_calls(
    core: EngineCore, events: HeldEvents, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Running and waiting callers are told; the engine takes no more."""

    def fail(_self: Executor, _plan: Plan) -> list[int]:
        raise ZeroDivisionError

    calls = [call("a", samples=2), call("b")]
    for each in calls:
        core.submit(each)
    monkeypatch.setattr(Executor, "run", fail)
    events.allow(1)
    until(lambda: core.failure == "ZeroDivisionError")
    until(lambda: calls[1].outputs.qsize() == 1)
    assert [each.token for each in outputs(calls[0])] == [None, None]
    assert sorted(events.ended) == [
        (name, None, "ZeroDivisionError") for name in ("a-0", "a-1", "b-0")
    ]
    with pytest.raises(EngineDeadError, match="ZeroDivisionError"):
        core.submit(call("c"))


def test_stopping_ends_what_is_unfinished(events: HeldEvents) -> None:
    """A stop aborts running and waiting sequences and joins the thread."""
    subject = EngineCore(CONFIG, events)
    subject.start(lambda deliver, outputs: deliver(outputs))
    subject.submit(call("a", max_tokens=50, samples=3))
    events.allow(2)
    stopping = threading.Thread(target=subject.stop)
    until(lambda: len(events.batches) == 3)
    stopping.start()
    until(lambda: subject._stopping)
    events.permits.release()
    stopping.join(PATIENCE_S)
    assert {(name, reason) for name, reason, _ in events.ended} == {
        (f"a-{index}", "abort") for index in range(3)
    }


async def test_outputs_reach_the_event_loop_that_waits(events: HeldEvents) -> None:
    """`call_soon_threadsafe` is all that the core needs to hand over its outputs."""
    subject = EngineCore(CONFIG, events)
    subject.start(asyncio.get_running_loop().call_soon_threadsafe)
    waiting = call("a", max_tokens=1)
    subject.submit(waiting)
    events.permits.release()
    output = await asyncio.wait_for(waiting.outputs.get(), PATIENCE_S)
    assert output.finish_reason == "length"
    await asyncio.to_thread(subject.stop)
