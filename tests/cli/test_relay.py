"""`otel-llm relay`."""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from starlette.applications import Starlette

from otel_llm.clock import EpochNs
from otel_llm.query.recent import Filter, recent
from otel_llm.relay.examples import examples
from tests.relay.fakes import BURN, TOKEN

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from tests.cli.conftest import Run


@pytest.fixture
def token(tmp_path: Path) -> str:
    """A file with a token."""
    (tmp_path / "token").write_text(TOKEN)
    return str(tmp_path / "token")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "nobody would get the messages"),
        (("--to", "hook"), "'hook' is not the URL of a server"),
        (("--slack-url-file", "/nowhere"), "/nowhere cannot be read"),
    ],
)
def test_nowhere_to_send(run: "Run", token: str, options: tuple[str, ...], said: str) -> None:
    """A relay that could reach nobody does not start."""
    done = run("relay", "--token-file", token, *options)
    assert done.exit_code == 1
    assert said in done.stderr


def test_a_secret_is_not_shown(run: "Run", token: str, tmp_path: Path) -> None:
    """What stands in Slack's file, even if it is no URL, is in no error."""
    (tmp_path / "slack").write_text("hooks.slack.com/services/T0/XYZZY")
    done = run("relay", "--token-file", token, "--slack-url-file", str(tmp_path / "slack"))
    assert done.exit_code == 1
    assert "holds no URL" in done.stderr
    assert "XYZZY" not in done.stderr


def test_a_short_token(run: "Run", tmp_path: Path) -> None:
    """A token that can be guessed is refused."""
    (tmp_path / "token").write_text("short")
    done = run("relay", "--token-file", str(tmp_path / "token"), "--to", "http://127.0.0.1:1")
    assert done.exit_code == 1
    assert "too short" in done.stderr


async def test_without_a_store(run: "Run", token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It serves, and a message for which no store answers is tried to be passed on all the same."""
    served: list[Starlette] = []

    def serve(app: Starlette, **_: Any) -> None:  # noqa: ANN401
        served.append(app)

    monkeypatch.setattr("uvicorn.run", serve)
    done = run(
        "relay", "--token-file", token, "--to", "http://127.0.0.1:9/x",
        "--url", "http://127.0.0.1:9",
    )  # fmt: skip
    assert done.exit_code == 0
    assert "--webhook-url http://127.0.0.1:9466/relay" in done.stderr
    transport = httpx.ASGITransport(app=served[0])
    async with httpx.AsyncClient(transport=transport, base_url="http://relay") as client:
        body = json.dumps({"alerts": [{"status": "firing", "labels": BURN}]})
        headers = {"authorization": f"Bearer {TOKEN}"}
        answer = await client.post("/relay", content=body, headers=headers)
    assert answer.status_code == 502, "nobody listens there"


def test_calls_of_a_real_store(store: "Client") -> None:
    """Traces come from the store as `requests --slow` finds them."""
    found = examples(lambda of: recent(store, of), Filter(since_ns=EpochNs(0)))
    assert re.fullmatch(r"([0-9a-f]{32} \(\d+\.\d\d s\)(, )?){1,3}", found.slowest)
