"""`otel-llm demo`: start everything, replay real arrivals, and check what was left behind."""

import asyncio
import fcntl
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from otel_llm.demo import client, evidence, recording, summary
from otel_llm.demo.child import DemoError
from otel_llm.demo.engines import PACE, EngineKind
from otel_llm.demo.reference import ReferenceEngines
from otel_llm.demo.stack import Stack
from otel_llm.demo.vllm.engine import VllmEngine
from otel_llm.demo.vllm.server import find_cli
from otel_llm.demo.watch import PhaseWatch
from otel_llm.demo.workload import PlannedCall, plan, quota
from otel_llm.settings import default_state_dir

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clickhouse_connect.driver.client import Client

SETTLE_TIMEOUT_S = 45.0
_MARKER = ".otel-llm-demo"
_STARTING = "Starting the store, the agent, {} and a gateway"


def default_dir() -> Path:
    """Where a run keeps its data if nothing else is said."""
    return Path(default_state_dir()) / "demo"


def run_demo(
    requests: int | None = None,
    speedup: float | None = None,
    json_output: bool = False,
    work_dir: Path | None = None,
    engine: EngineKind = "reference",
    vllm: Path | None = None,
    devices: str | None = None,
) -> int:
    """Run the demo.

    Args:
        requests: calls to make; None for as many as the engine's pace says.
        speedup: how much faster than real time the arrivals are replayed; None likewise.
        json_output: end with one JSON object in place of the summary.
        work_dir: where to keep data, journals' state and logs; emptied first.
        engine: what serves the calls: two reference engines, or one real vLLM.
        vllm: the program `vllm`, if it is not to be looked for.
        devices: what the agent reads, as the setting `devices` says it; None for the recording that
            comes with the demo.

    Returns:
        0 if every call is complete and nothing was lost, else 1.

    Raises:
        DemoError: a process did not start, there is no vLLM, the options contradict each other, or
            the directory is not the demo's to empty.
    """
    if vllm is not None and engine != "vllm":
        message = "--vllm names the program of a real vLLM. Add --engine vllm."
        raise DemoError(message)
    cli = find_cli(vllm) if engine == "vllm" else None
    pace = PACE[engine]
    try:
        calls = plan(requests or pace.requests, speedup or pace.speedup)
    except ValueError as error:
        message = f"--requests: {error}."
        raise DemoError(message) from error
    directory = work_dir or default_dir()
    with _alone(directory):
        fresh = _fresh(directory)
        # What was recorded stands for the devices of these engines; others have devices, or none.
        shown = recording.DEVICES if devices is None else ()
        engines = ReferenceEngines(shown) if cli is None else VllmEngine(cli, fresh / "model")
        # Room for what is usually in flight and the flood's first wave, not for its third.
        room = pace.in_flight + quota(len(calls))
        stack = Stack(fresh, engines, room, devices or f"replay:{recording.shipped()}")
        return _run(calls, stack, json_output)


def _run(calls: Sequence[PlannedCall], stack: Stack, json_output: bool) -> int:
    console = Console(stderr=True)
    # Told to stop, or its terminal closed, the demo ends its processes like on Ctrl-C.
    for told in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(told, _interrupt)
    try:
        with console.status(_STARTING.format(", ".join(stack.engine_names))):
            stack.start(stack.engines.options(calls))
        seen = _replay(stack, calls, console)
        with console.status("Waiting for the last facts to arrive"), _store(stack) as store:
            verdict = _judge(stack, store, seen)
            text = "" if json_output else summary.text(store, verdict, seen, stack.data_dir)
    finally:
        stack.stop()
        shutil.rmtree(stack.journal_dir, ignore_errors=True)
    print(msgspec.json.encode(verdict).decode() if json_output else text)  # noqa: T201
    return 0 if verdict.passed else 1


def _interrupt(number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


@contextmanager
def _alone(work_dir: Path) -> "Iterator[None]":
    """Hold the directory for one demo at a time: each empties it first."""
    work_dir.parent.mkdir(parents=True, exist_ok=True)
    with work_dir.with_name(f"{work_dir.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            message = f"Another demo is using {work_dir}. Name another directory with --dir."
            raise DemoError(message) from error
        yield


def _fresh(work_dir: Path) -> Path:
    """An empty directory of ours; refuses to empty somebody else's."""
    if work_dir.exists() and any(work_dir.iterdir()):
        if not (work_dir / _MARKER).exists():
            message = f"{work_dir} holds other files. Name an empty directory with --dir."
            raise DemoError(message)
        shutil.rmtree(work_dir)
    work_dir.mkdir(parents=True, exist_ok=True)
    (work_dir / _MARKER).touch()
    return work_dir


def _replay(stack: Stack, calls: Sequence[PlannedCall], console: Console) -> list[client.Seen]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=console) as progress:
        task = progress.add_task("Replaying real arrivals", total=len(calls))
        seen = asyncio.run(
            client.replay(
                calls,
                stack.gateway_url,
                stack.engines.model,
                PhaseWatch(Path(stack.journal_dir)),
                lambda _: progress.advance(task),
            )
        )
    if dead := stack.dead():
        message = f"{', '.join(dead)} died during the replay. Logs are in {stack.log_dir}."
        raise DemoError(message)
    return seen


@contextmanager
def _store(stack: Stack) -> "Iterator[Client]":
    from otel_llm.exporters.clickhouse.client import connect

    store = connect(data_dir=str(stack.data_dir))
    try:
        yield store
    finally:
        store.close()


def _judge(stack: Stack, store: "Client", seen: Sequence[client.Seen]) -> evidence.Verdict:
    # Gateway and engines close their journals and flush their spans; the agent reads them out.
    stack.stop("gateway", *stack.engine_names)
    deadline = time.monotonic() + SETTLE_TIMEOUT_S
    while not evidence.settled(store, seen):
        if time.monotonic() > deadline:
            print("Some facts did not arrive in time.", file=sys.stderr)  # noqa: T201
            break
        time.sleep(0.2)
    lost = evidence.lost_records(evidence.fetch_metrics(stack.agent_url))
    # Stopping the agent delivers what it still holds.
    stack.stop("agent")
    return evidence.judge(store, seen, lost)
