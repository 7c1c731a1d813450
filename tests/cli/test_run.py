"""`otel-llm run`: the engine takes the program's place."""

import json
import os
import signal
import stat
import subprocess
import sys
import venv
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.waiting import PATIENCE_S

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


ENTRY_POINT = "[vllm.general_plugins]\notel_llm = otel_llm.engines.vllm.plugin:load\n"
ONE_LINE, LONG_PATH = "#!{}\n", "#!/bin/sh\n'''exec' \"{}\" \"$0\" \"$@\"\n' '''\n"


@pytest.fixture
def other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The Python of an environment of its own, with nothing in it."""
    monkeypatch.delenv("PYTHONPATH", raising=False)
    venv.create(tmp_path / "engine", symlinks=True)
    return tmp_path / "engine" / "bin" / "python"


def script(path: Path, text: str) -> str:
    """An executable file."""
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def install(python: Path, entry_points: str) -> None:
    """What pip leaves of otel-llm beside a Python."""
    [packages] = python.parents[1].glob("lib/python*/site-packages")
    found = packages / "otel_llm-1.0.dist-info"
    found.mkdir()
    (found / "METADATA").write_text("Metadata-Version: 2.1\nName: otel-llm\nVersion: 1.0\n")
    (found / "entry_points.txt").write_text(entry_points)


@pytest.mark.parametrize("head", [ONE_LINE, LONG_PATH, "#!/usr/bin/env -S python -u\n", None])
def test_an_engine_in_another_python(
    run: "Run", monkeypatch: pytest.MonkeyPatch, tmp_path: Path, other: Path, head: str | None
) -> None:
    """A Python without otel-llm is named with the remedy, one with it is not; both start."""
    started: list[str] = []
    monkeypatch.setattr(os, "execve", lambda path, _command, _env: started.append(path))
    monkeypatch.setenv("PATH", str(other.parent), prepend=os.pathsep)
    engine = str(other) if head is None else script(tmp_path / "serve", head.format(other))
    told = run("run", "--", engine)
    runs = "" if head is None else f" runs {engine} and"
    assert f"{other}{runs} lacks otel-llm" in told.stderr
    assert f"{other} -m pip install otel-llm" in told.stderr
    install(other, ENTRY_POINT)
    assert run("run", "--", engine).stderr == ""
    assert started == [engine, engine]


def test_an_otel_llm_without_the_hooks(
    run: "Run", monkeypatch: pytest.MonkeyPatch, tmp_path: Path, other: Path
) -> None:
    """The entry point counts, not the package's name; a copy in the working directory does not."""
    monkeypatch.setattr(os, "execve", lambda *_: None)
    install(other, "")
    [packages] = other.parents[1].glob("lib/python*/site-packages")
    engine = script(tmp_path / "serve", ONE_LINE.format(other))
    assert "lacks otel-llm" in run("run", "--", engine).stderr
    (packages / "otel_llm-1.0.dist-info").rename(tmp_path / "otel_llm-1.0.dist-info")
    (tmp_path / "otel_llm-1.0.dist-info" / "entry_points.txt").write_text(ENTRY_POINT)
    monkeypatch.chdir(tmp_path)
    assert "lacks otel-llm" in run("run", "--", engine).stderr


@pytest.mark.parametrize(
    "text",
    [
        "#!/bin/sh\n",
        "#!\n",
        "#!/usr/bin/env\n",
        "#!'/python\n",
        "no script",
        f"#!{sys.executable}\n",
    ],
)
def test_commands_that_are_not_judged(
    run: "Run", monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str
) -> None:
    """Our own Python, and what names none: nothing to say, and it starts."""
    started: list[str] = []
    monkeypatch.setattr(os, "execve", lambda path, _command, _env: started.append(path))
    engine = script(tmp_path / "serve", text)
    assert run("run", "--", engine).stderr == ""
    assert started == [engine]


def test_a_python_that_does_not_answer(
    run: "Run", monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """That nothing is known of it is said; it starts."""
    started: list[str] = []
    monkeypatch.setattr(os, "execve", lambda path, _command, _env: started.append(path))
    python = script(tmp_path / "python3", "#!/bin/sh\nexit 1\n")
    assert f"Whether {python} has otel-llm is not known" in run("run", "--", python).stderr
    assert started == [python]


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
    assert process.wait(PATIENCE_S) == -signal.SIGTERM
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
