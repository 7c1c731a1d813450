"""Traffic of a demo, byte by byte, and sending it again."""

import json
import threading
import time
from collections.abc import Iterable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from otel_llm.demo import recording
from otel_llm.demo.stack import Stack
from otel_llm.exporters.clickhouse.client import connect
from tests.waiting import until

TABLES = (
    "otel_traces", "otel_logs", "otel_metrics_gauge", "otel_metrics_sum", "otel_metrics_histogram",
    "otel_metrics_exponential_histogram", "otel_metrics_summary",
)  # fmt: skip


class Sent(NamedTuple):
    """One OTLP request as it was sent.

    Attributes:
        path: of the URL.
        headers: Content-Type and Content-Encoding.
        body: as it was on the wire.
    """

    path: str
    headers: dict[str, str]
    body: bytes


class Recorder(ThreadingHTTPServer):
    """Passes OTLP over HTTP on to `target`, and keeps what it passed.

    Attributes:
        target: base URL, to be set before the first request.
        sent: the requests, in the order of their arrival.
    """

    target = ""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Recording)
        self.sent: list[Sent] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """Its own base URL."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Recording(BaseHTTPRequestHandler):
    server: Recorder

    def do_POST(self) -> None:
        kept = ("Content-Type", "Content-Encoding")
        headers = {name: self.headers[name] for name in kept if name in self.headers}
        body = self.rfile.read(int(self.headers["Content-Length"]))
        answer = httpx.post(
            self.server.target + self.path, headers=headers, content=body, trust_env=False
        )
        self.server.sent.append(Sent(self.path, headers, body))
        self.send_response(answer.status_code)
        self.send_header("Content-Length", str(len(answer.content)))
        self.end_headers()
        self.wfile.write(answer.content)

    def log_message(self, *_given: object) -> None:
        """Say nothing."""


class RecordedStack(Stack):
    """A demo whose spans pass a recorder on their way to the store."""

    def __init__(self, work_dir: Path, recorder: Recorder) -> None:
        super().__init__(work_dir, devices=f"replay:{recording.shipped()}")
        self._recorder = recorder

    @property
    def environment(self) -> dict[str, str]:
        """As every demo's, but for where the spans go."""
        return {**super().environment, "OTEL_LLM_OTLP_ENDPOINT": self._recorder.url}

    def _up_ready(self) -> str:
        self._recorder.target = super()._up_ready()
        return self._recorder.url


def rows(data_dir: Path, table: str) -> list[str]:
    """All rows of a table, each as one JSON line, sorted.

    The keys of maps are sorted, too: the exporter does so, our receiver keeps the sender's order.
    """
    client = connect(data_dir=str(data_dir))
    try:
        text = client.raw_query(f"SELECT * FROM {table}", fmt="JSONEachRow").decode()
    finally:
        client.close()
    return sorted(json.dumps(json.loads(line), sort_keys=True) for line in text.splitlines())


def count(data_dir: Path, table: str = "otel_traces") -> int:
    """How many rows a table has."""
    client = connect(data_dir=str(data_dir))
    try:
        return int(client.query(f"SELECT count() FROM {table}").result_rows[0][0])
    finally:
        client.close()


def wait_rows(data_dir: Path, least: int, table: str = "otel_traces", limit_s: float = 60) -> None:
    """Wait until a table has so many rows."""
    until(lambda: count(data_dir, table) >= least, limit_s)


def send(url: str, sent: Sent, token: str) -> httpx.Response:
    """Send one request; the status is the caller's to look at."""
    known = {"Authorization": f"Bearer {token}"} if token else {}
    headers = {**sent.headers, **known}
    return httpx.post(url + sent.path, headers=headers, content=sent.body, trust_env=False)


def send_all(url: str, requests: Iterable[Sent], token: str, pause_s: float = 0.0) -> None:
    """Send requests in order, each until it is taken, as exporters do."""
    for sent in requests:
        until(lambda sent=sent: _taken(url, sent, token), 60)  # type: ignore[misc]
        time.sleep(pause_s)


def _taken(url: str, sent: Sent, token: str) -> bool:
    try:
        answer = send(url, sent, token)
    except (httpx.NetworkError, httpx.RemoteProtocolError, httpx.TimeoutException):
        return False
    assert answer.status_code in (200, 429, 502, 503, 504), answer.text
    return answer.status_code == 200


def protobuf(path: str, message: Any) -> Sent:  # noqa: ANN401  any of the three requests
    """A message as a request."""
    headers: Mapping[str, str] = {"Content-Type": "application/x-protobuf"}
    return Sent(path, dict(headers), message.SerializeToString())
