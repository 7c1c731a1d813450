"""A fixed load: engines that decode full batches, written to real journals or made as facts."""

import argparse
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from otel_llm.clock import SYSTEM_CLOCK, MonotonicNs
from otel_llm.facts import RequestArrived, RequestFinished, StepDone, StepScheduled
from otel_llm.facts.kernel import StepKernels
from otel_llm.facts.shape import ServedShape
from otel_llm.journal.records import Record
from otel_llm.journal.writer import Journal, open_journal
from otel_llm.settings import load as load_settings

SHAPE = ServedShape(32, 4096, 32, 8, 128, 14336, 128256)
PROMPT = 512
KERNELS = ("gemm", "attention", "norm", "rope", "cache", "sampling", "copy", "collective")


class Load(NamedTuple):
    """How much is served.

    Attributes:
        engines: each on a device of its own.
        rate: steps per second of each.
        batch: members of each step.
        tokens: output tokens of a request.
    """

    engines: int = 8
    rate: int = 100
    batch: int = 256
    tokens: int = 200


def device_of(engine: int) -> str:
    """The device of an engine, by its number."""
    return f"GPU-{engine}"


class Served:
    """One engine's full batch: seats, in which requests follow one another.

    Args:
        load: how much.
        names: letters that its requests' ids begin with.
        device: the one its kernels run on.
    """

    def __init__(self, load: Load, names: str, device: str) -> None:
        self._load, self._names, self._device = load, names, device
        self.seq = self._last = 0
        self._index = [0] * load.batch
        # Staggered, so that as many end in each step.
        self._left = [1 + seat * load.tokens // load.batch for seat in range(load.batch)]
        self._context = [PROMPT] * load.batch
        for seat in range(load.batch):
            self._index[seat] = self._next()

    def begin(self, at_ns: int) -> list[Record]:
        """Arrivals of those that fill the batch first."""
        return [self._arrival(index, at_ns) for index in self._index]

    def step(self, start_ns: int, end_ns: int) -> list[Record]:
        """A step's records: batch, result, kernels by class, and requests that come and go."""
        self.seq += 1
        batch = self._load.batch
        records: list[Record] = [
            StepScheduled(
                self.seq, MonotonicNs(start_ns), list(self._index), b"", [], list(self._context),
                batch, 3, 900, 1000, short=True,
            ),
            StepDone(self.seq, MonotonicNs(end_ns), [], 8_000_000, [], "FULL", batch),
            self._kernels(start_ns, end_ns),
        ]  # fmt: skip
        self._context = [context + 1 for context in self._context]
        self._left = [left - 1 for left in self._left]
        for seat in [seat for seat, left in enumerate(self._left) if left <= 0]:
            records.append(self._end(self._index[seat], end_ns))
            self._index[seat], self._left[seat] = self._next(), self._load.tokens
            self._context[seat] = PROMPT
            records.append(self._arrival(self._index[seat], end_ns))
        return records

    def _next(self) -> int:
        self._last += 1
        return self._last

    def _arrival(self, index: int, at_ns: int) -> RequestArrived:
        name = f"{self._names}-{index}"
        return RequestArrived(
            index, name, name, "chat", "llama", MonotonicNs(at_ns), PROMPT, self._load.tokens,
            tracestate=f"otelllm=t:tenant-{index % 20};p:gold;a:1",
        )  # fmt: skip

    def _end(self, index: int, at_ns: int) -> RequestFinished:
        tokens = self._load.tokens
        first = MonotonicNs(at_ns - tokens * 10_000_000)
        return RequestFinished(
            index, "finished", "length", MonotonicNs(at_ns), first, first, first, first,
            MonotonicNs(at_ns), 0, tokens,
        )  # fmt: skip

    def _kernels(self, start_ns: int, end_ns: int) -> StepKernels:
        each = (end_ns - start_ns) // len(KERNELS)
        places = list(range(len(KERNELS)))
        return StepKernels(
            self.seq, "cupti", self._device, list(KERNELS), places, MonotonicNs(start_ns),
            [place * each for place in places], [each] * len(KERNELS),
        )  # fmt: skip


def write(load: Load, seconds: float, begun: Callable[[], None]) -> int:
    """Write the load to journals, as it would come; the settings are the environment's.

    Args:
        load: how much.
        seconds: for how long.
        begun: called when the journals are open and the load begins.

    Returns:
        Requests that ended.
    """
    settings = load_settings()
    journals = [_open(number, settings) for number in range(load.engines)]
    served = [Served(load, f"e{number}", device_of(number)) for number in range(load.engines)]
    begun()
    began = time.monotonic_ns()
    for journal, engine in zip(journals, served, strict=True):
        _write(journal, engine.begin(began))
    ended = 0
    for start, end in _steps(load, began, seconds):
        for journal, engine in zip(journals, served, strict=True):
            records = engine.step(start, end)
            ended += sum(isinstance(one, RequestFinished) for one in records)
            _write(journal, records)
    for journal in journals:
        journal.close()
    return ended


def _open(number: int, settings: object) -> Journal:
    return open_journal(
        kind="engine", service=f"engine-{number}", engine="reference", engine_version="1",
        model="llama", devices=[device_of(number)], ranks=1, shape=SHAPE,
        settings=settings, clock=SYSTEM_CLOCK,  # type: ignore[arg-type]
    )  # fmt: skip


def _write(journal: Journal, records: list[Record]) -> None:
    for record in records:
        journal.write(record)


def _steps(load: Load, began_ns: int, seconds: float) -> Iterator[tuple[int, int]]:
    """Start and end of each step, once its end has come."""
    length = 1_000_000_000 // load.rate
    for number in range(round(seconds * load.rate)):
        start = began_ns + number * length
        wait_ns = start + length - time.monotonic_ns()
        if wait_ns > 0:
            time.sleep(wait_ns / 1e9)
        yield start, start + length - 500_000


def parser(program: str, description: str | None) -> argparse.ArgumentParser:
    """A parser of the load's options."""
    options = argparse.ArgumentParser(prog=program, description=description)
    for name, default in Load()._asdict().items():
        options.add_argument(f"--{name}", type=int, default=default)
    return options


def load_of(told: argparse.Namespace) -> Load:
    """The load that options tell of."""
    return Load(*(getattr(told, name) for name in Load._fields))


def options_of(load: Load) -> list[str]:
    """A load as options."""
    return [f"--{name}={value}" for name, value in load._asdict().items()]


def main() -> None:
    """Write, and print that the load begins, and at its end how many requests ended."""
    options = parser("python -m benchmarks.agent.load", __doc__)
    options.add_argument("--seconds", type=float, default=20.0)
    told = options.parse_args()
    ended = write(load_of(told), told.seconds, lambda: print("begun", flush=True))
    print(ended, flush=True)


if __name__ == "__main__":
    main()
