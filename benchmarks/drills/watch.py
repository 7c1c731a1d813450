"""A real Prometheus and Alertmanager for one drill, and who is told."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import yaml

from benchmarks.drills import scale
from otel_llm.alert_rules import build, routing
from otel_llm.alert_rules.proof.promtool import find
from otel_llm.demo.child import Child
from otel_llm.demo.stack import Stack
from otel_llm.sockets import listen


class Told(NamedTuple):
    """A notification of one firing alert.

    Attributes:
        at_s: when it came, on the monotonic clock.
        receiver: page or ticket.
        labels: the alert's.
    """

    at_s: float
    receiver: str
    labels: dict[str, str]


class Pager:
    """Receives Alertmanager's webhooks on loopback."""

    def __init__(self) -> None:
        self.told: list[Told] = []
        pager = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers.get("content-length", 0))
                pager._take(json.loads(self.rfile.read(length)))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_arguments: object) -> None:
                """Nothing to log."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def _take(self, message: dict[str, Any]) -> None:
        for alert in message["alerts"]:
            if alert["status"] == "firing":
                self.told.append(Told(time.monotonic(), message["receiver"], alert["labels"]))

    def close(self) -> None:
        """Stop receiving."""
        self._server.shutdown()
        self._server.server_close()


class Watch:
    """Prometheus and Alertmanager over a stack, with nothing remembered.

    Args:
        folder: for their data and configuration; must not exist.
        stack: what to scrape.
    """

    def __init__(self, folder: Path, stack: Stack) -> None:
        folder.mkdir(parents=True)
        self.pager = Pager()
        self._children: list[Child] = []
        alertmanager = _free_port()
        (folder / "rules").mkdir()
        scale.write(folder / "rules")
        self._configure(folder, stack, alertmanager)
        self._start(
            folder, "prometheus-alertmanager", f"--config.file={folder}/alertmanager.yml",
            f"--storage.path={folder}/am", f"--web.listen-address=127.0.0.1:{alertmanager}",
            "--cluster.listen-address=",
        )  # fmt: skip
        port = _free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._start(
            folder, "prometheus", f"--config.file={folder}/prometheus.yml",
            f"--storage.tsdb.path={folder}/tsdb", f"--web.listen-address=127.0.0.1:{port}",
        )  # fmt: skip
        self._ready(f"{self.url}/-/ready")
        self._ready(f"http://127.0.0.1:{alertmanager}/-/ready")

    def _configure(self, folder: Path, stack: Stack, alertmanager: int) -> None:
        receivers = routing.Receivers(webhook_url=self.pager.url)
        told = yaml.safe_load(routing.config(build.load(), receivers))
        for route in (told["route"], *told["route"]["routes"]):
            # Messages at once: a drill measures the rules, not the waiting for company.
            route.update(group_wait="0s", group_interval="1s")
        told["templates"] = []
        (folder / "alertmanager.yml").write_text(yaml.safe_dump(told))
        targets = {
            "otel-llm-gateway": stack.gateway_url,
            "otel-llm-agent": stack.agent_url,
            "otel-llm-store": f"http://127.0.0.1:{stack.otlp_port}",
        }
        scrapes = [
            {
                "job_name": job,
                "static_configs": [{"targets": [httpx.URL(url).netloc.decode()]}],
                "authorization": {"credentials_file": str(stack.data_dir / "token")},
            }
            for job, url in targets.items()
        ]
        every = f"{scale.EVERY_S:g}s"
        config = {
            "global": {
                "scrape_interval": every, "evaluation_interval": every, "scrape_timeout": every,
            },
            "rule_files": [f"{folder}/rules/*.yaml"],
            "alerting": {
                "alertmanagers": [{"static_configs": [{"targets": [f"127.0.0.1:{alertmanager}"]}]}]
            },
            "scrape_configs": scrapes,
        }  # fmt: skip
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))

    def _start(self, folder: Path, program: str, *arguments: str) -> None:
        self._children.append(Child(program, [find(program), *arguments], folder, {}))

    def _ready(self, url: str) -> None:
        deadline_s = time.monotonic() + 30
        while time.monotonic() < deadline_s:
            try:
                if httpx.get(url).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        message = f"{url} does not become ready"
        raise RuntimeError(message)

    def value(self, query: str) -> float | None:
        """The value of an instant query with one result; None without one."""
        answer = httpx.get(f"{self.url}/api/v1/query", params={"query": query}, timeout=10)
        found = answer.json()["data"]["result"]
        return float(found[0]["value"][1]) if found else None

    def stop(self) -> None:
        """End both, by force if they do not go, and wait."""
        for child in reversed(self._children):
            child.stop()
        self.pager.close()


def _free_port() -> int:
    with listen("127.0.0.1", 0) as socket:
        port: int = socket.getsockname()[1]
    return port
