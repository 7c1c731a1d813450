"""The Slurm scripts, run as Slurm runs them with a real agent; a shell script is systemd here."""

import os
import subprocess
import sys
from collections.abc import Iterator
from grp import getgrgid
from pathlib import Path

import pytest

from tests.waiting import until

SCRIPTS = Path(__file__).parents[3] / "deploy" / "slurm"
JOB = "4711"

# Starts what systemd-run would start, and stops it as systemctl would.
_RUN = """#!/bin/bash
while [[ "$1" == --* ]]; do
  case "$1" in --setenv=*) export "${1#--setenv=}" ;; --unit=*) unit="${1#--unit=}" ;; esac
  shift
done
setsid "$@" > "$FAKE_DIR/$unit.log" 2>&1 &
echo $! > "$FAKE_DIR/$unit.pid"
"""
_CTL = """#!/bin/bash
pid="$(cat "$FAKE_DIR/${2%.service}.pid")"
kill -TERM "$pid"
while kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
"""
_LOGGER = """#!/bin/bash
echo "$*" >> "$FAKE_DIR/syslog"
"""


def executable(path: Path, text: str) -> None:
    """Write a program."""
    path.write_text(text)
    path.chmod(0o755)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of Prolog and Epilog on a node whose systemd is a script."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in (("systemd-run", _RUN), ("systemctl", _CTL), ("logger", _LOGGER)):
        executable(programs / name, text)
    executable(
        programs / "otel-llm", f'#!/bin/bash\nexec {sys.executable} -m otel_llm.cli.main "$@"\n'
    )
    yield {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "FAKE_DIR": str(tmp_path),
        "SLURM_JOB_ID": JOB,
        "SLURM_JOB_UID": str(os.getuid()),
        "SLURM_OTEL_JOURNAL_BASE": str(tmp_path / "journals"),
        "SLURM_OTEL_STATE_BASE": str(tmp_path / "state"),
        "SLURM_OTEL_AGENT_USER": getgrgid(os.getgid()).gr_name,
        "SLURM_OTEL_PROGRAM": str(programs / "otel-llm"),
        "OTEL_LLM_DEVICES": "none",
        "SLURM_OTEL_EPILOG_WAIT_S": "0.1",
        "OTEL_LLM_CLICKHOUSE_URL": "http://127.0.0.1:1",
        "OTEL_LLM_OTLP_ENDPOINT": "http://127.0.0.1:1",
    }
    for file in tmp_path.glob("*.pid"):
        subprocess.run(
            ["kill", "-KILL", file.read_text().strip()], check=False, capture_output=True
        )


def run(script: str, environment: dict[str, str]) -> str:
    """Run one script; it must not fail, whatever happens."""
    ran = subprocess.run(
        [SCRIPTS / script], env=environment, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_a_job_gets_a_directory_and_an_agent(node: dict[str, str], tmp_path: Path) -> None:
    """The tasks are told where to write, an agent reads there, and both go with the job."""
    run("prolog.sh", node)
    journals = tmp_path / "journals" / f"job-{JOB}"
    assert journals.stat().st_mode & 0o7777 == 0o2750
    told = dict(
        line.removeprefix("export ").split("=") for line in run("task_prolog.sh", node).splitlines()
    )
    assert told == {
        "OTEL_LLM_JOURNAL_DIR": str(journals),
        "OTEL_LLM_JOURNAL_GROUP_READABLE": "true",
    }
    log = tmp_path / f"otel-llm-job-{JOB}.log"
    until(lambda: str(journals) in log.read_text(), 30)
    run("epilog.sh", node)
    assert not journals.exists()
    pid = (tmp_path / f"otel-llm-job-{JOB}.pid").read_text().strip()
    assert not Path(f"/proc/{pid}").exists()
    # What the agent could not deliver is there for later.
    assert (tmp_path / "state" / f"job-{JOB}").is_dir()
    assert not (tmp_path / "syslog").exists()


@pytest.mark.parametrize(
    "wrong",
    [
        {"SLURM_OTEL_AGENT_USER": "nobody-of-this-name"},
        {"SLURM_OTEL_JOURNAL_BASE": "/proc/nowhere"},
        {"SLURM_OTEL_PROGRAM": "/nowhere", "PATH": "/usr/bin:/bin"},
    ],
)
def test_no_script_ever_fails(node: dict[str, str], wrong: dict[str, str]) -> None:
    """A node must not be drained for want of telemetry."""
    broken = {**node, **wrong}
    run("prolog.sh", broken)
    run("task_prolog.sh", broken)
    run("epilog.sh", broken)


@pytest.mark.parametrize("made", ["a link", "for all", "somebody else's"])
def test_a_base_that_is_not_roots_alone_is_not_used(
    node: dict[str, str], tmp_path: Path, made: str
) -> None:
    """Anybody may make a name in /dev/shm first; root would change owners where it leads."""
    base, elsewhere = tmp_path / "journals", tmp_path / "elsewhere"
    elsewhere.mkdir()
    if made == "a link":
        base.symlink_to(elsewhere)
    else:
        base.mkdir()
        base.chmod(0o777 if made == "for all" else 0o755)
    if made == "somebody else's":
        if os.getuid():
            pytest.skip("only root can give a directory away")
        os.chown(base, 65534, 65534)
    run("prolog.sh", node)
    assert "is not root's alone" in (tmp_path / "syslog").read_text()
    assert list(elsewhere.iterdir()) == []
    assert list(base.iterdir()) == []
    assert list(tmp_path.glob("*.pid")) == []


def test_the_directory_of_states_is_taken_back(node: dict[str, str], tmp_path: Path) -> None:
    """The agent's user may not put links there, which root would follow for a later job."""
    state = tmp_path / "state"
    state.mkdir()
    state.chmod(0o777)
    if os.getuid() == 0:
        node["SLURM_OTEL_AGENT_USER"] = "daemon"
        os.chown(state, 65534, 65534)
    run("prolog.sh", node)
    assert (state.stat().st_uid, state.stat().st_mode & 0o7777) == (os.getuid(), 0o711)
    assert (state / f"job-{JOB}").stat().st_mode & 0o7777 == 0o700


def test_outside_of_a_job_nothing_happens(node: dict[str, str], tmp_path: Path) -> None:
    """Without a job id no directory is made, and none removed."""
    without = {name: value for name, value in node.items() if not name.startswith("SLURM_JOB")}
    run("prolog.sh", without)
    run("epilog.sh", without)
    assert run("task_prolog.sh", without) == ""
    assert not (tmp_path / "journals").exists()
