"""The worker's hooks as vLLM's workers have them, and the agent's join of a ring."""

import time
from types import SimpleNamespace
from typing import Any

from benchmarks.kernels.measure import ROUNDS, Bench
from benchmarks.rounds import calls_per_round, mean_ns
from otel_llm.agent.kernel_join import KernelJoin
from otel_llm.clock import SYSTEM_CLOCK, MonotonicNs
from otel_llm.engines.vllm import worker_steps
from otel_llm.facts.joined import StepKernelSums
from otel_llm.kernels import records
from otel_llm.kernels.cuda_events import Cuda
from otel_llm.kernels.reader import KernelReader, rows
from otel_llm.kernels.shim_library import Shim
from otel_llm.kernels.whose import Whose
from otel_llm.settings import load

_ENGINE = "e" * 32


class Worker:
    """A worker whose model does nothing."""

    rank = 0

    def execute_model(self, scheduler_output: object) -> None:
        """Nothing."""

    def sample_tokens(self, grammar_output: object) -> None:
        """Nothing."""


def hook_us(shim: Shim | None, cuda: Cuda | None = None) -> list[float]:
    """Microseconds that the hooks add to one step: both calls, less the same without hooks.

    Args:
        shim: the shim that is told.
        cuda: device of the event timer, where the shim is None.
    """
    plain, hooked = Worker(), Worker()
    steps = worker_steps.WorkerSteps(Whose(engine=_ENGINE), shim, cuda, load())
    worker_steps._put(hooked, steps)  # noqa: SLF001  the very hooks that `follow` puts
    numbers = iter(range(1, 1 << 40))

    def step_of(worker: Any) -> Any:  # noqa: ANN401
        def step() -> None:
            output = SimpleNamespace(otel_llm_step=(_ENGINE, 0, next(numbers)))
            worker.execute_model(output)
            worker.sample_tokens(None)

        return step

    with_hooks, without = step_of(hooked), step_of(plain)
    calls = calls_per_round(with_hooks)
    taken = [(mean_ns(with_hooks, calls) - mean_ns(without, calls)) / 1000 for _ in range(ROUNDS)]
    worker_steps.close_all()
    return taken


class Idle:
    """`torch.cuda` whose events do nothing, and have always happened."""

    def Event(self, enable_timing: bool = False) -> "Idle":  # noqa: ARG002, N802  torch's
        """An event."""
        return Idle()

    def is_current_stream_capturing(self) -> bool:
        """No."""
        return False

    def record(self) -> None:
        """Nothing."""

    def query(self) -> bool:
        """It has happened."""
        return True

    def elapsed_time(self, _end_event: object) -> float:
        """A millisecond."""
        return 1.0


def event_us() -> list[float]:
    """The same with the event timer, over events that do nothing: our own part, record included."""
    return hook_us(None, Idle())


def record_us() -> list[float]:
    """Of that the record of a step's time in the worker's journal."""
    steps = worker_steps.WorkerSteps(Whose(engine=_ENGINE), None, Idle(), load())

    def tell() -> None:
        steps._tell(1, MonotonicNs(1), 1_000_000)  # noqa: SLF001  what the timer calls

    calls = calls_per_round(tell)
    taken = [mean_ns(tell, calls) / 1000 for _ in range(ROUNDS)]
    steps.close()
    return taken


def join_rate(one: Bench) -> list[float]:
    """Kernels per second of CPU, from a full ring to facts of steps and ten seconds."""
    rates = []
    for _ in range(5):
        reader = KernelReader.open(one.ring)
        join = KernelJoin(reader.producer, 100, 0.0, SYSTEM_CLOCK.anchor())
        told, counted = 0, 0
        began = time.thread_time_ns()
        while frames := reader.read():
            facts = join.feed(frames, reader.names)
            told += sum(sum(one.kernels) for one in facts if isinstance(one, StepKernelSums))
            counted += sum(len(rows(one)) for one in frames if one.kind == records.RAW)
        told += sum(sum(one.kernels) for one in join.end() if isinstance(one, StepKernelSums))
        rates.append(counted / (time.thread_time_ns() - began) * 1e9)
        assert counted > 1_000_000
        assert told > 0
        reader.close()
    return rates
