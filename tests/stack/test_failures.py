"""The whole stack when its parts die: nothing lost, nothing doubled."""

import signal
import time
from pathlib import Path

import msgspec
import pytest

from otel_llm.demo.stack import Stack
from otel_llm.facts import StepDone, StepScheduled
from otel_llm.journal.directory import scan
from otel_llm.journal.reader import JournalReader
from tests.stack.harness import calls, ordinary, replay, store, verdict, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


def test_agent_killed_and_restarted(stack: Stack) -> None:
    """SIGKILL on the agent, three times mid-run, loses and doubles no fact and no span."""

    def harm() -> None:
        for _ in range(3):
            time.sleep(2.0)
            stack.kill("agent")
            stack.start_agent()

    judged = verdict(stack, replay(stack, calls(80, within_s=9.0), harm))
    assert judged.problems == {}
    assert judged.lost_records == 0


def test_store_killed_and_restarted(stack: Stack) -> None:
    """SIGKILL on the store, away for three seconds: agent and gateway catch up, nothing doubled."""

    def harm() -> None:
        time.sleep(3.0)
        stack.kill("up")
        time.sleep(3.0)
        stack.start_up()

    judged = verdict(stack, replay(stack, calls(80, within_s=9.0), harm))
    assert judged.problems == {}
    assert judged.lost_records == 0


def stopped_in_a_step(stack: Stack, engine: str) -> bool:
    """Stop the engine; let it go on unless its journal ends with a step that has no result."""
    process = stack.children[engine].process
    process.send_signal(signal.SIGSTOP)
    readers = [JournalReader.open(path) for path in scan(Path(stack.journal_dir))]
    [reader] = [reader for reader in readers if reader.producer.service == engine]
    open_steps: set[int] = set()
    while records := reader.read():
        open_steps |= {r.seq for r in records if isinstance(r, StepScheduled)}
        open_steps -= {r.seq for r in records if isinstance(r, StepDone)}
    for each in readers:
        each.close()
    if not open_steps:
        process.send_signal(signal.SIGCONT)
    return bool(open_steps)


def test_engine_killed_mid_batch(stack: Stack) -> None:
    """Every fact completed before the kill arrives, and the steps in flight are on record."""
    victim = stack.engine_names[0]
    # Many long generations at once keep every seat taken until the kill, whatever the machine.
    long = [
        msgspec.structs.replace(c, at_s=0.0, output_tokens=1200, prompt_tokens=50)
        for c in ordinary(24)
    ]
    short = ordinary(40)[24:]

    def harm() -> None:
        found = store(stack)
        busy = "SELECT count() > 50 FROM llm_steps WHERE service = {s:String}"
        wait_for(
            lambda: bool(found.query(busy, parameters={"s": victim}).result_rows[0][0]),
            "the engine at work",
        )
        wait_for(lambda: stopped_in_a_step(stack, victim), "a step in flight")
        stack.kill(victim)

    seen = replay(stack, [*long, *short], harm)
    found = store(stack)
    died = "SELECT steps_in_flight, requests_in_flight FROM llm_engine_events WHERE event = 'died'"
    wait_for(lambda: bool(found.query(died).result_rows), "the flight recorder's row")
    judged = verdict(stack, seen)
    [[steps, requests]] = found.query(died).result_rows
    lost = "SELECT request_id FROM llm_requests WHERE outcome = 'engine_died'"
    assert sorted(requests) == sorted(row[0] for row in found.query(lost).result_rows)
    assert requests
    in_flight = "SELECT seq FROM llm_steps WHERE status = 'in_flight'"
    assert sorted(steps) == sorted(row[0] for row in found.query(in_flight).result_rows)
    assert steps

    completed = {one.trace_id for one in seen if one.ended == "completed"}
    assert completed
    assert {trace: p for trace, p in judged.problems.items() if trace in completed} == {}
    assert judged.by_outcome.get("missing", 0) == 0
    assert judged.lost_records == 0
