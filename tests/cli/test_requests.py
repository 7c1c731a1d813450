"""`otel-llm requests`."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Run
    from tests.query.conftest import Snapshot

LONG_AGO = "99999d"


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_list(
    run_on_sample: "Run", snapshot: "Snapshot", monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    """The list drops columns, never a line, and keeps within the terminal."""
    monkeypatch.setenv("COLUMNS", str(width))
    result = run_on_sample("requests", "--since", LONG_AGO, "--slow")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert len(lines) == 1 + 10
    assert max(map(len, lines)) <= width
    snapshot(f"requests-{width}.txt", "".join(line.rstrip() + "\n" for line in lines))


def test_json(run_on_sample: "Run") -> None:
    """The JSON has every line with every field."""
    result = run_on_sample("requests", "--since", LONG_AGO, "--tenant", "globex", "--json")
    answer = json.loads(result.stdout)
    assert {line["tenant"] for line in answer["listed"]} == {"globex"}
    assert {line["outcome"] for line in answer["listed"]} == {"cancelled", "shed", "finished"}
    assert answer["more"] is False


@pytest.mark.parametrize(("limit", "more"), [(9, True), (10, False)])
def test_a_list_that_was_cut_says_so(run_on_sample: "Run", limit: int, more: bool) -> None:
    """Ten calls arrived: nine lines say that there are more, ten do not."""
    asked = ("requests", "--since", LONG_AGO, "--limit", str(limit))
    answer = json.loads(run_on_sample(*asked, "--json").stdout)
    assert (len(answer["listed"]), answer["more"]) == (limit, more)
    result = run_on_sample(*asked)
    assert len(result.stdout.splitlines()) == 1 + limit
    assert (f"More than these {limit} arrived" in result.stderr) is more


def test_nothing_to_list(run_on_sample: "Run") -> None:
    """An empty list says what to try."""
    result = run_on_sample("requests", "--since", "1s")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "otel-llm doctor" in result.stderr


@pytest.mark.parametrize("age", ["", "15", "15 m", "m", "-3m", "1e3s", "²m"])
def test_an_age_that_is_none(run_on_sample: "Run", age: str) -> None:
    """A wrong age is a usage error that shows how to write one."""
    result = run_on_sample("requests", "--since", age)
    assert result.exit_code == 2
    assert "15m" in result.stderr


OPEN = {
    "requests_open": 2,
    "calls_open": 2,
    "requests": [
        {
            "request_id": "cmpl-1", "request_index": 1, "instance_id": "i", "service": "engine-a",
            "model": "m", "trace_id": "t1", "tenant": "acme", "age_s": 1.5, "phase": "decode",
            "prompt_tokens": 20, "output_tokens": 7, "incomplete": False,
        },
        {
            "request_id": "", "request_index": 2, "instance_id": "i", "service": "engine-a",
            "model": "other\x1b[31m", "trace_id": "t3", "tenant": "globex", "age_s": 0.5,
            "phase": "prefill", "prompt_tokens": None, "output_tokens": 0, "incomplete": True,
        },
    ],
    "calls": [
        {
            "call_id": "c1", "trace_id": "t1", "service": "gw", "route": "/", "tenant": "acme",
            "age_s": 1.6, "attempts_ended": 0,
        },
        {
            "call_id": "c2", "trace_id": "t2", "service": "gw", "route": "/", "tenant": "acme",
            "age_s": 0.1, "attempts_ended": 0,
        },
    ],
}  # fmt: skip


class Handler(BaseHTTPRequestHandler):
    """An agent's page with the sample above."""

    def do_GET(self) -> None:
        """Answer `/open` to the token's holder."""
        known = self.headers.get("authorization") == "Bearer secret"
        body = json.dumps(OPEN).encode() if known else b"Send the token\n"
        self.send_response(200 if known else 401)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def agent(tmp_path: Path, clean_environment: None) -> Iterator[str]:  # noqa: ARG001
    """The address of a running agent's page, whose token is in the state directory."""
    state = tmp_path / "state_dir"
    state.mkdir()
    (state / "agent.token").write_text("secret\n", encoding="ascii")
    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_in_flight(run: "Run", agent: str, snapshot: "Snapshot") -> None:
    """Calls stand with their requests; one that no engine has yet is in the gateway."""
    result = run("requests", "--open", "--agent-url", agent)
    assert result.exit_code == 0, result.output
    snapshot("open.txt", "".join(line.rstrip() + "\n" for line in result.stdout.splitlines()))


def test_in_flight_of_a_tenant(run: "Run", agent: str) -> None:
    """A tenant sees its own in flight, and its own numbers."""
    result = run("requests", "--open", "--agent-url", agent, "--tenant", "acme", "--json")
    found = json.loads(result.stdout)
    assert (found["requests_open"], found["calls_open"]) == (1, 2)
    assert "globex" not in result.stdout


def test_no_agent(run: "Run", agent: str, tmp_path: Path) -> None:
    """No token, a wrong token, no answer, and an unknown port are told apart."""
    (tmp_path / "state_dir" / "agent.token").write_text("wrong\n", encoding="ascii")
    assert "answered 401" in run("requests", "--open", "--agent-url", agent).stderr
    assert (
        "No agent answers" in run("requests", "--open", "--agent-url", "http://127.0.0.1:1").stderr
    )
    (tmp_path / "state_dir" / "agent.token").unlink()
    result = run("requests", "--open", "--agent-url", agent)
    assert result.exit_code == 1
    assert "agent.token cannot be read" in result.stderr
