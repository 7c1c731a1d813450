"""Times the public API as an engine would call it, on a real journal of the default size."""

import gc
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.rounds import Timed, calls_per_round, in_turn, mean_ns
from otel_llm.journal.directory import scan
from otel_llm.journal.reader import JournalReader
from otel_llm.recorder import Recorder
from otel_llm.settings import Settings, default_journal_dir

BATCHES = (1, 16, 64, 256)
ROUNDS = 41
IMPORTS = 21


class Member:
    """A request as an engine keeps it."""

    __slots__ = ("computed", "index", "scheduled")

    def __init__(self, number: int) -> None:
        self.index = 100_000 + number
        self.scheduled = 1
        self.computed = 300 + number


@contextmanager
def recorder(*, enabled: bool = True) -> Iterator[tuple[Recorder, Path]]:
    """A recorder with a journal of the default size beside the default directory."""
    base = Path(default_journal_dir()).parent
    with tempfile.TemporaryDirectory(dir=base, prefix="otel-llm-bench-") as folder:
        settings = Settings(journal_dir=f"{folder}/j", enabled=enabled)
        opened = Recorder.open(engine="bench", engine_version="0", settings=settings)
        try:
            yield opened, Path(folder, "j")
        finally:
            opened.close()


def prebuilt(target: Recorder, batch: int) -> Callable[[], None]:
    """All hooks of a step, with the arrays at hand."""
    members = [Member(number) for number in range(batch)]
    index = [member.index for member in members]
    tokens = [member.scheduled for member in members]
    context = [member.computed for member in members]
    phase = b"\1" * batch
    emitted = [1] * batch

    def step() -> None:
        seq = target.step_scheduled(
            request_index=index,
            phase=phase,
            tokens=tokens,
            context=context,
            running=batch,
            waiting=12,
            kv_used=51_200,
            kv_total=65_536,
        )
        target.step_done(seq, emitted, execute_ns=9_000_000)

    return step


def built(target: Recorder, batch: int) -> Callable[[], None]:
    """All hooks of a step, with the arrays gathered from request objects each time."""
    members = [Member(number) for number in range(batch)]

    def step() -> None:
        seq = target.step_scheduled(
            request_index=[member.index for member in members],
            phase=bytes([member.scheduled == 1 for member in members]),
            tokens=[member.scheduled for member in members],
            context=[member.computed for member in members],
            running=len(members),
            waiting=12,
            kv_used=51_200,
            kv_total=65_536,
        )
        target.step_done(seq, [1] * len(members), execute_ns=9_000_000)

    return step


def request(target: Recorder) -> Callable[[], None]:
    """All hooks of one request's life but its steps."""

    def live() -> None:
        handle = target.request_arrived(
            request_id="cmpl-6f1d3c0a9b7e4f52a1c8d0e3b5f7a9c1",
            api_request_id="cmpl-6f1d3c0a9b7e4f52",
            operation="chat",
            model="a-model-of-some-size",
            prompt_tokens=1155,
            max_tokens=256,
            traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            tracestate="otelllm=t:acme;a:1",
        )
        handle.queued()
        handle.scheduled(cached_tokens=512)
        handle.first_token()
        handle.first_output()
        handle.finished(outcome="finished", finish_reason="stop", output_tokens=211)

    return live


def hooks(functions: dict[str, Callable[[], None]]) -> Timed:
    """Time each function; microseconds per call."""

    def round_of(function: Callable[[], None]) -> Callable[[], float]:
        calls = calls_per_round(function)
        return lambda: mean_ns(function, calls) / 1000

    gc.collect()
    rounds = {name: round_of(function) for name, function in functions.items()}
    return in_turn(rounds, ROUNDS)


def imports(statements: dict[str, str]) -> Timed:
    """Time imports in fresh interpreters that find their bytecode, as installed; milliseconds."""
    with tempfile.TemporaryDirectory() as bytecode:
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": bytecode}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)

        def import_of(statement: str) -> Callable[[], float]:
            program = (
                "import time; began = time.process_time()\n"
                f"{statement}\n"
                "print((time.process_time() - began) * 1000)"
            )
            command = [sys.executable, "-c", program]

            def once() -> float:
                done = subprocess.run(
                    command, check=True, capture_output=True, text=True, env=environment
                )
                return float(done.stdout)

            once()
            return once

        rounds = {name: import_of(statement) for name, statement in statements.items()}
        return in_turn(rounds, IMPORTS)


def bytes_per_step(batch: int) -> float:
    """Bytes that one step takes in the journal."""
    with recorder() as (target, folder):
        step = prebuilt(target, batch)
        step()  # comes with the anchor
        reader = JournalReader.open(scan(folder)[0])
        reader.read()
        before = reader.cursor.position
        steps = 100
        for _ in range(steps):
            step()
        reader.read()
        taken = reader.cursor.position - before
        reader.close()
    return taken / steps
