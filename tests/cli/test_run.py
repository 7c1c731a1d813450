"""`otel-llm run`: the engine takes the program's place."""

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Run

PROGRAM = (sys.executable, "-m", "otel_llm.cli.main", "run")
SHOW = "import json, os; print(json.dumps(dict(os.environ)))"


@pytest.mark.usefixtures("clean_environment")
def test_the_hooks_are_on(tmp_path: Path) -> None:
    """The command sees the hooks' settings, its own arguments, and a private directory."""
    command = [*PROGRAM, "--service", "chat", "--", sys.executable, "-c", SHOW]
    done = subprocess.run(
        command, capture_output=True, check=True, env={**os.environ, "OTEL_LLM_ENABLED": "false"}
    )
    seen = json.loads(done.stdout)
    journal_dir = tmp_path / "journal_dir"
    assert seen["OTEL_LLM_ENABLED"] == "true"
    assert seen["OTEL_LLM_SERVICE"] == "chat"
    assert seen["OTEL_LLM_JOURNAL_DIR"] == str(journal_dir)
    assert stat.S_IMODE(journal_dir.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("allowed", "passed", "told"),
    [
        (None, None, False),
        ("a,otel_llm", "a,otel_llm", False),
        ("a", "a,otel_llm", True),
        ("", "otel_llm", True),
    ],
)
def test_plugins_of_vllm(
    run: "Run",
    monkeypatch: pytest.MonkeyPatch,
    allowed: str | None,
    passed: str | None,
    told: bool,
) -> None:
    """A list of vLLM's plug-ins that leaves our hooks out gets their name, and a word about it."""
    environments: list[dict[str, str]] = []
    monkeypatch.setattr(os, "execve", lambda _path, _command, env: environments.append(env))
    monkeypatch.delenv("VLLM_PLUGINS", raising=False)
    if allowed is not None:
        monkeypatch.setenv("VLLM_PLUGINS", allowed)
    result = run("run", "env")
    assert environments[0].get("VLLM_PLUGINS") == passed
    assert ("VLLM_PLUGINS lacks otel_llm" in result.stderr) is told


@pytest.mark.usefixtures("clean_environment")
def test_status_and_signals_are_the_engines() -> None:
    """The exit status is the command's; a signal kills the command itself."""
    code = "import sys; sys.exit(7)"
    assert subprocess.run([*PROGRAM, "--", sys.executable, "-c", code], check=False).returncode == 7
    wait = "import signal; print('up', flush=True); signal.pause()"
    process = subprocess.Popen([*PROGRAM, "--", sys.executable, "-c", wait], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == -signal.SIGTERM
    process.stdout.close()


def test_commands_that_cannot_run(run: "Run", tmp_path: Path) -> None:
    """No command, an unknown one and a plain file each say so, with the shell's status."""
    assert run("run").exit_code == 2
    unknown = run("run", "--", "no-such-engine", "serve")
    assert (unknown.exit_code, "no-such-engine" in unknown.stderr) == (127, True)
    plain = tmp_path / "plain"
    plain.touch()
    assert run("run", "--", str(plain)).exit_code == 126


def test_options_after_the_command_are_the_commands(
    run: "Run", monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--service` behind the command goes to it, with or without `--`."""
    started: list[list[str]] = []
    monkeypatch.setattr(os, "execve", lambda _path, command, _env: started.append(command))
    run("run", "--", "env", "--service", "x")
    run("run", "env", "--port", "1")
    assert started == [["env", "--service", "x"], ["env", "--port", "1"]]


def test_a_directory_of_somebody_else(run: "Run", tmp_path: Path) -> None:
    """A journal directory that others may write to is refused before anything starts."""
    shared = tmp_path / "journal_dir"
    shared.mkdir(mode=0o700)
    shared.chmod(0o777)
    result = run("run", "--", "true")
    assert result.exit_code == 1
    assert "others may write to" in result.stderr
