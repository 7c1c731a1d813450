"""The agent as a process: its start, an engine killed beside it, and its end."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from otel_llm.agent.run import is_of_our_group, run
from otel_llm.errors import AgentRunningError, JournalError, SettingError
from otel_llm.settings import Settings
from tests.agent.fake_sinks import FakeSinks
from tests.waiting import PATIENCE_S

AGENT = """
import sys, msgspec
from otel_llm.agent.run import run
from otel_llm.settings import Settings
run(msgspec.json.decode(sys.argv[1], type=Settings), as_json=True)
"""
ENGINE = """
import sys, time, msgspec
from otel_llm.recorder import Recorder
from otel_llm.settings import Settings
settings = msgspec.json.decode(sys.argv[1], type=Settings)
recorder = Recorder.open(engine="reference", engine_version="1", service="svc", settings=settings)
def arrive(name):
    return recorder.request_arrived(
        request_id=name, api_request_id=name, operation="chat", model="tiny", prompt_tokens=3)
def schedule(handle):
    return recorder.step_scheduled(
        request_index=[handle.index], phase=b"\\0", tokens=[3], context=[0])
for number in range(3):
    handle = arrive(f"whole-{number}")
    recorder.step_done(schedule(handle), emitted=[1])
    handle.finished(outcome="finished", finish_reason="stop", output_tokens=1)
handle = arrive("cut-off")
recorder.step_done(schedule(handle), emitted=[1])
schedule(handle)
print("in the middle of a batch", flush=True)
time.sleep(60)
"""

Start = Callable[[str, Settings], "subprocess.Popen[str]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a Python program with the settings as its argument; killed at the end."""
    started: list[subprocess.Popen[str]] = []

    def program(text: str, settings: Settings) -> "subprocess.Popen[str]":
        given = msgspec.json.encode(settings).decode()
        process = subprocess.Popen(
            [sys.executable, "-c", text, given], stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        return process

    yield program
    for process in started:
        process.kill()
        process.communicate()


def first_line(process: "subprocess.Popen[str]") -> str:
    """What the program says first."""
    assert process.stdout is not None
    return process.stdout.readline()


def in_delivery(
    settings: Settings, sinks: FakeSinks, start: Start, wait: Callable[..., None]
) -> "subprocess.Popen[str]":
    """An agent that a sink holds up with what an engine left that has been killed."""
    agent = start(AGENT, settings)
    first_line(agent)
    engine = start(ENGINE, settings)
    first_line(engine)
    engine.kill()
    wait(lambda: sinks.waiting > 0)
    return agent


def test_an_engine_killed_in_the_middle_of_a_batch(
    settings: Settings, sinks: FakeSinks, start: Start, wait: Callable[..., None]
) -> None:
    """Every completed fact arrives, and a record of what was in flight."""
    agent = start(AGENT, settings)
    ready = json.loads(first_line(agent))
    engine = start(ENGINE, settings)
    assert first_line(engine) == "in the middle of a batch\n"
    wait(lambda: len(sinks.rows("llm_requests")) == 3)
    check_page(ready["url"], Path(settings.state_dir))
    engine.kill()
    wait(lambda: len(sinks.rows("llm_engine_events")) == 2)
    wait(lambda: len(sinks.rows("llm_requests")) == 4 and len(sinks.rows("llm_steps")) == 5)
    outcomes = {row["request_id"]: row["outcome"] for row in sinks.rows("llm_requests")}
    assert outcomes == {
        "whole-0": "finished", "whole-1": "finished", "whole-2": "finished",
        "cut-off": "engine_died",
    }  # fmt: skip
    assert [row["status"] for row in sinks.rows("llm_steps")] == ["done"] * 4 + ["in_flight"]
    died = sinks.rows("llm_engine_events")[1]
    assert (died["event"], died["steps_in_flight"], died["requests_in_flight"]) == (
        "died", [5], ["cut-off"],
    )  # fmt: skip
    [dead] = [row for row in sinks.rows("llm_requests") if row["outcome"] == "engine_died"]
    assert (dead["output_tokens"], dead["prompt_tokens"], dead["incomplete"]) == (1, 3, False)
    agent.send_signal(signal.SIGTERM)
    assert agent.wait(PATIENCE_S) == 0


def check_page(url: str, state_dir: Path) -> None:
    """The page shows what was delivered, how soon, and what is in flight."""
    page = httpx.get(f"{url}/metrics").text
    assert "otel_llm_agent_finish_to_row_seconds_count 3.0" in page
    assert 'otel_llm_engine_up{instance_id="' in page
    token = (state_dir / "agent.token").read_text().strip()
    answer: dict[str, Any] = httpx.get(
        f"{url}/open", headers={"authorization": f"Bearer {token}"}
    ).json()
    assert [request["request_id"] for request in answer["requests"]] == ["cut-off"]


def test_a_second_agent(settings: Settings, start: Start) -> None:
    """It refuses, and names the directory and the first one's pid."""
    first = start(AGENT, settings)
    first_line(first)
    with pytest.raises(AgentRunningError, match=rf"served by another agent \(pid {first.pid}\)"):
        run(settings)
    elsewhere = msgspec.structs.replace(settings, journal_dir=settings.journal_dir + "-2")
    with pytest.raises(AgentRunningError, match="state"):
        run(elsewhere)


def test_a_sink_that_hangs_does_not_hold_up_the_end(
    settings: Settings, sinks: FakeSinks, start: Start, wait: Callable[..., None]
) -> None:
    """SIGTERM ends the agent in time; what was not delivered stays for the next one."""
    sinks.delay_s = 2 * PATIENCE_S
    slow = msgspec.structs.replace(settings, send_timeout_s=2 * PATIENCE_S)
    agent = in_delivery(slow, sinks, start, wait)
    agent.terminate()
    assert agent.wait(PATIENCE_S) == 0  # the sink has not answered yet
    sinks.delay_s = 0.0
    again = start(AGENT, settings)
    wait(lambda: len(sinks.rows("llm_requests")) == 4 and len(sinks.spans) >= 10)
    again.terminate()
    assert again.wait(PATIENCE_S) == 0


def test_a_slow_sink_gets_what_is_left_before_the_end(
    settings: Settings, sinks: FakeSinks, start: Start, wait: Callable[..., None]
) -> None:
    """With time to stop, SIGTERM ends the agent once all is delivered: no agent comes after it."""
    sinks.delay_s = 1.5
    patient = msgspec.structs.replace(
        settings, stop_delivery_s=PATIENCE_S, send_timeout_s=PATIENCE_S
    )
    agent = in_delivery(patient, sinks, start, wait)
    agent.terminate()
    assert agent.wait(PATIENCE_S + 10) == 0
    assert len(sinks.rows("llm_requests")) == 4
    assert len(sinks.rows("llm_steps")) == 5
    assert len(sinks.spans) >= 10


def test_settings_that_cannot_be_used(settings: Settings, tmp_path: Path) -> None:
    """Each error names its setting."""
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SettingError, match="state_dir"):
        run(msgspec.structs.replace(settings, state_dir=str(tmp_path / "file" / "state")))
    with pytest.raises(JournalError, match="journal_dir"):
        run(msgspec.structs.replace(settings, journal_dir=str(tmp_path / "file")))


def test_journals_of_another_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory private to another user and our group will do; one that others may write, not."""
    directory = tmp_path / "journals"
    assert not is_of_our_group(directory)
    directory.mkdir(0o750)
    assert not is_of_our_group(directory)
    monkeypatch.setattr(os, "geteuid", lambda: directory.stat().st_uid + 1)
    assert is_of_our_group(directory)
    directory.chmod(0o770)
    assert not is_of_our_group(directory)
    directory.chmod(0o750)
    monkeypatch.setattr(os, "getegid", lambda: directory.stat().st_gid + 1)
    monkeypatch.setattr(os, "getgroups", list)
    assert not is_of_our_group(directory)
