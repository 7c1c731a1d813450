"""Finding vLLM, and running it. The program here is a stand-in; `tests/vllm` has the real one."""

import json
import os
import sys
from pathlib import Path

import psutil
import pytest

from otel_llm.demo.child import DemoError
from otel_llm.demo.vllm.server import VllmServer, find_cli
from tests.waiting import PATIENCE_S, until

PROGRAM = """#!{python}
import http.server, json, os, subprocess, sys
options = dict(zip(sys.argv, sys.argv[1:]))
child = subprocess.Popen(["sleep", "600"])
told = {{"argv": sys.argv[1:], "environment": dict(os.environ), "child": child.pid}}
open({told!r}, "w").write(json.dumps(told))

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/health" else 404)
        self.end_headers()

http.server.HTTPServer((options["--host"], int(options["--port"])), Handler).serve_forever()
"""


@pytest.fixture
def told(tmp_path: Path) -> Path:
    """Where the stand-in says how it was started."""
    return tmp_path / "told.json"


@pytest.fixture
def program(tmp_path: Path, told: Path) -> Path:
    """A stand-in for vLLM that serves, and leaves a process behind."""
    path = tmp_path / "vllm"
    path.write_text(PROGRAM.format(python=sys.executable, told=str(told)))
    path.chmod(0o755)
    return path


def test_it_is_started_with_the_hooks_on(program: Path, told: Path, tmp_path: Path) -> None:
    """It serves the model through `otel-llm run`; the caller's options and variables win."""
    environment = {"OTEL_LLM_JOURNAL_DIR": str(tmp_path / "j"), "OMP_NUM_THREADS": "2"}
    one = VllmServer("x", program, tmp_path / "m", tmp_path, environment, ["--block-size", "64"])
    try:
        ready = one.ready()
        started = json.loads(told.read_text())
    finally:
        one.stop()
    assert ready["url"] == one.url
    assert started["argv"][:2] == ["serve", str(tmp_path / "m")]
    assert started["argv"][-2:] == ["--block-size", "64"]
    assert started["environment"]["OTEL_LLM_ENABLED"] == "true"
    assert started["environment"]["OTEL_LLM_SERVICE"] == "x"
    assert started["environment"]["OMP_NUM_THREADS"] == "2"
    assert started["environment"]["HF_HUB_OFFLINE"] == "1"


def test_nothing_outlives_it(program: Path, told: Path, tmp_path: Path) -> None:
    """What the server started ends with it, even if the server left it behind."""
    one = VllmServer("x", program, tmp_path, tmp_path, {}, hooks=False)
    try:
        one.ready()
        child = json.loads(told.read_text())["child"]
    finally:
        one.stop()
    left = [p for p in psutil.process_iter() if p.pid == child and p.status() != "zombie"]
    psutil.wait_procs(left, timeout=PATIENCE_S)
    assert not any(process.is_running() for process in left)


def test_a_server_that_still_starts_is_killed(
    program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not heed SIGTERM while it starts, so nobody waits for that."""
    monkeypatch.setattr("otel_llm.demo.child.STOP_TIMEOUT_S", 600.0)
    program.write_text("#!/bin/sh\ntrap '' TERM\necho deaf\nsleep 600\n")
    one = VllmServer("x", program, tmp_path, tmp_path, {}, hooks=False)
    until(lambda: "deaf" in one.log.read_text())
    one.stop()


def test_a_program_that_ends_says_why(program: Path, tmp_path: Path) -> None:
    """A server that does not come up is told with the end of its log."""
    program.write_text("#!/bin/sh\necho out of paper\nexit 3\n")
    one = VllmServer("x", program, tmp_path, tmp_path, {}, hooks=False)
    with pytest.raises(DemoError, match=r"ended with status 3[\s\S]*out of paper"):
        one.ready()
    one.stop()


def test_without_vllm_the_error_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither on the PATH nor beside this Python."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(DemoError, match=r"no program `vllm`.*--vllm ENV/bin/vllm.*make vllm"):
        find_cli()


def test_where_vllm_is_looked_for(
    program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one named; else the PATH's; else the one beside this Python."""
    with pytest.raises(DemoError, match=r"--vllm .*absent: no such program"):
        find_cli(tmp_path / "absent")
    monkeypatch.setenv("PATH", os.devnull)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    assert find_cli() == program
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "vllm").symlink_to(program)
    monkeypatch.setenv("PATH", str(elsewhere))
    assert find_cli() == elsewhere / "vllm"
    assert find_cli(program) == program
