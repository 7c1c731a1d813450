"""A real Alertmanager sends to the relay, with the configuration that we write."""

import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest
import uvicorn
import yaml

from otel_llm.alert_rules import routing
from otel_llm.alert_rules.proof.promtool import find
from otel_llm.relay.server import Relay, Target
from otel_llm.sockets import listen
from tests.relay.fakes import BURN, TOKEN, Calls, Sent


@contextmanager
def served(relay: Relay) -> Iterator[str]:
    """The relay on a free port; its address."""
    with listen("127.0.0.1", 0) as listener:
        server = uvicorn.Server(uvicorn.Config(relay.app, log_level="warning"))
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/relay"
        server.should_exit = True
        thread.join()


@contextmanager
def alertmanager(folder: Path, hook: str) -> Iterator[str]:
    """Alertmanager that sends pages to `hook` at once; its address."""
    token = folder / "token"
    token.write_text(TOKEN)
    to = routing.Receivers(webhook_url=hook, webhook_token_file=str(token))
    told = yaml.safe_load(routing.config([], to))
    for route in told["route"]["routes"]:
        route["group_wait"] = "0s"
    (folder / "alertmanager.yml").write_text(yaml.safe_dump({**told, "templates": []}))
    with listen("127.0.0.1", 0) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [
            find("prometheus-alertmanager"), f"--config.file={folder}/alertmanager.yml",
            f"--storage.path={folder}/data", f"--web.listen-address=127.0.0.1:{port}",
            "--cluster.listen-address=",
        ],
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def until(sent: Sent, url: str, seconds: float = 60.0) -> None:
    """Post an alert until it has arrived."""
    alert = {"labels": BURN, "annotations": {"summary": "s"}}
    deadline_s = time.monotonic() + seconds
    while not sent.bodies and time.monotonic() < deadline_s:
        with suppress(httpx.TransportError):  # it is not up yet
            httpx.post(f"{url}/api/v2/alerts", json=[alert])
        time.sleep(0.2)


@pytest.mark.alerts
def test_a_page_arrives_with_traces(tmp_path: Path) -> None:
    """Its token is accepted, its message is read, and the traces are in what goes on."""
    sent = Sent()
    relay = Relay(TOKEN, Calls(), Target("http://hook/x"), sent.transport)
    with served(relay) as hook, alertmanager(tmp_path, hook) as url:
        until(sent, url)
    told = sent.bodies["hook"]
    assert told["receiver"] == "page"
    assert told["alerts"][0]["labels"] == BURN
    assert told["alerts"][0]["annotations"]["slowest_traces"].startswith("c3 (12.35 s)")
