"""The program as a whole: help, errors, start-up."""

import json
import os
import runpy
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from otel_llm.errors import OtelLLMError
from tests.waiting import PATIENCE_S

if TYPE_CHECKING:
    from tests.cli.conftest import Run

RETRIED = b"retried".hex()
COMMANDS = ("demo", "up", "agent", "run", "requests", "trace", "schema", "doctor")


def test_help_names_every_command(run: "Run") -> None:
    """Help lists the commands, each with help of its own."""
    text = run("--help").stdout
    for command in COMMANDS:
        assert f"  {command} " in text
        own = run(command, "--help")
        assert own.exit_code == 0
        assert "Usage" in own.stdout
    assert run("--version").stdout.startswith("otel-llm ")


def test_an_error_is_one_line(run: "Run", monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of ours is one line on stderr and status 1; --debug lets it through."""
    monkeypatch.setenv("OTEL_LLM_AGENT_PORT", "many")
    result = run("requests", "--open")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("otel-llm: agent_port: 'many' cannot be used")
    assert result.stderr.count("\n") == 1
    assert isinstance(run("--debug", "requests", "--open").exception, OtelLLMError)


def test_no_store(run: "Run") -> None:
    """Without `up` and without data a question says what to start."""
    result = run("requests")
    assert result.exit_code == 1
    assert "otel-llm up" in result.stderr


@pytest.mark.parametrize(
    ("package", "arguments", "extra"),
    [
        ("clickhouse_connect", ["schema", "print"], "store"),
        ("clickhouse_connect", ["trace", "abcdef"], "store"),
        ("starlette", ["up"], "embedded"),
        ("prometheus_client", ["agent"], "agent"),
        ("httpx", ["demo", "--requests", "1"], "demo"),
    ],
)
def test_a_missing_extra_names_the_pip_command(
    package: str, arguments: list[str], extra: str, tmp_path: Path
) -> None:
    """A package that is not installed is told with the command that installs it."""
    code = (
        f"import sys; sys.modules[{package!r}] = None; sys.argv[1:] = {arguments!r}\n"
        "from otel_llm.cli.main import main; main()"
    )
    environment = {
        **os.environ,
        "XDG_STATE_HOME": str(tmp_path),
        "OTEL_LLM_CLICKHOUSE_URL": "http://127.0.0.1:1",
    }
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        timeout=100,
    )
    assert done.returncode == 1
    assert f"pip install 'otel-llm[{extra}]'" in done.stderr
    assert "Traceback" not in done.stderr


COUNTING = """
import itertools, sys
events = itertools.count()
sys.setprofile(lambda *_: next(events))
{}
sys.setprofile(None)
print(next(events), file=sys.stderr)
"""


def _calls(code: str) -> tuple[int, str]:
    """Calls and returns of a program, as many on any machine, and what it wrote to stderr."""
    program = [sys.executable, "-c", COUNTING.format(code)]
    subprocess.run(program, capture_output=True, check=True)  # now there is bytecode of all
    done = subprocess.run(program, capture_output=True, check=True)
    told, _, count = done.stderr.decode().strip().rpartition("\n")
    return int(count), told


def test_help_is_quick() -> None:
    """Help loads nothing heavy, and does no more than some times what its library does alone."""
    code = (
        "import sys; sys.argv = ['otel-llm', '--help']\n"
        "from otel_llm.cli.main import app\n"
        "try: app()\n"
        "except SystemExit: pass\n"
        "print(sorted({'rich', 'httpx', 'clickhouse_connect', 'chdb', 'pyarrow', 'numpy'}"
        " & set(sys.modules)), file=sys.stderr)"
    )
    (calls, said), (alone, _) = _calls(code), _calls("import typer")
    assert said == "[]"
    assert 0 < calls < 4 * alone


def test_a_reader_that_leaves() -> None:
    """`| head` ends the program without a complaint."""
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as broken:
        done = subprocess.run(
            [sys.executable, "-m", "otel_llm.cli.main", "schema", "print"],
            stdout=broken,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == b""


def test_the_real_program(tmp_path: Path) -> None:
    """`up` in a real process says where it is; every question passes its door."""
    environment = {
        **os.environ,
        "OTEL_LLM_DATA_DIR": str(tmp_path / "data"),
        "OTEL_LLM_CLICKHOUSE_PORT": "0",
        "OTEL_LLM_OTLP_HTTP_PORT": "0",
        "OTEL_LLM_RETENTION": "*=0",
        "OTEL_LLM_OTLP_GRPC_PORT": "0",
    }
    program = [sys.executable, "-m", "otel_llm.cli.main"]

    def ask(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*program, *arguments], capture_output=True, text=True, check=False, env=environment
        )

    fill(tmp_path / "data")
    offline = ask("trace", RETRIED)
    up = subprocess.Popen([*program, "up"], stdout=subprocess.PIPE, env=environment)
    try:
        assert up.stdout is not None
        assert b"http://127.0.0.1:" in up.stdout.readline()
        assert ask("schema", "check").stdout.endswith("The schema is up to date.\n")
        assert (
            len(json.loads(ask("requests", "--json", "--since", "99999d").stdout)["listed"]) == 10
        )
        assert ask("trace", RETRIED).stdout == offline.stdout
        assert "61 steps" in offline.stdout
    finally:
        up.terminate()
        assert up.wait(PATIENCE_S) == 0
        assert up.stdout is not None
        up.stdout.close()


def fill(data_dir: Path) -> None:
    """Make a data directory with the sample journeys."""
    from otel_llm.exporters.clickhouse.engine import Engine
    from otel_llm.exporters.clickhouse.schema import apply

    sample = runpy.run_path(str(Path(__file__).parents[1] / "query" / "sample.py"))
    with closing(Engine(data_dir)) as engine, closing(engine.client()) as client:
        apply(client)
        sample["fill"](engine)


def test_a_misspelt_variable_is_refused(run: "Run", monkeypatch: "pytest.MonkeyPatch") -> None:
    """A command does not start with a variable that is no setting; it names the nearest."""
    monkeypatch.setenv("OTEL_LLM_OTLP_ENDPOIN", "http://127.0.0.1:1")
    result = run("run", "--", "true")
    assert result.exit_code == 1
    assert "OTEL_LLM_OTLP_ENDPOIN: no setting" in result.stderr
    assert "Did you mean OTEL_LLM_OTLP_ENDPOINT?" in result.stderr
