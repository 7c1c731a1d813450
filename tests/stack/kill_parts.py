"""What the kill loop runs: processes to be killed, and senders that never give up."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import grpc
import httpx
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otel_llm import runfile
from otel_llm.collector.doors.grpc import METHODS

PROTOBUF = {"Content-Type": "application/x-protobuf"}
PER_REQUEST = 7
DAY_NS = 86_400 * 10**9
START_NS = time.time_ns() - 3 * DAY_NS
_TRACES, _, _METRICS = METHODS


class Victim:
    """A program of ours that is started again and again, and killed with SIGKILL."""

    def __init__(self, name: str, environment: dict[str, str], log: Path) -> None:
        self._command = [sys.executable, "-m", "otel_llm.cli.main", name, "--json"]
        self._environment = {**os.environ, **environment}
        self._log = log
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; it is not ready yet."""
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command, env=self._environment, stdout=subprocess.PIPE, stderr=log
            )

    def wait_ready(self) -> None:
        """Wait for its ready line."""
        assert self.process is not None
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert b'"ready"' in line, f"it ended before it was ready; see {self._log}"

    def end(self, number: int = signal.SIGKILL) -> int:
        """Send a signal and wait for the end; returns the exit status."""
        assert self.process is not None
        assert self.process.stdout is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        status = self.process.wait(60)
        self.process.stdout.close()
        return status


class Sender(threading.Thread):
    """Sends requests one after the other, each until it is acknowledged.

    Attributes:
        acknowledged: names of the requests that were.
        tries: how often something was sent.
    """

    def __init__(self, name: str, body: Callable[[str], bytes], data_dir: Path) -> None:
        super().__init__(name=name, daemon=True)
        self._body, self._data_dir = body, data_dir
        self._stopping = threading.Event()
        self._pause = random.Random(name)
        self.acknowledged: list[str] = []
        self.tries = 0

    def run(self) -> None:
        """Send until told to stop; what was begun is finished."""
        while not self._stopping.is_set():
            name = f"{self.name}-{len(self.acknowledged)}"
            body = self._body(name)
            while not self._sent(body):
                time.sleep(0.05)
            self.acknowledged.append(name)
            time.sleep(self._pause.uniform(0, 0.02))

    def stop(self) -> None:
        """Begin no other request."""
        self._stopping.set()

    def _sent(self, body: bytes) -> bool:
        self.tries += 1
        running = runfile.read(self._data_dir)
        return running is not None and self.send(running, body)

    def send(self, running: runfile.RunFile, body: bytes) -> bool:
        """One try; whether it was acknowledged."""
        raise NotImplementedError


class HttpSender(Sender):
    """Over HTTP."""

    path = "/v1/traces"

    def send(self, running: runfile.RunFile, body: bytes) -> bool:
        """One try; whether it was acknowledged."""
        url = f"{running.otlp_url}{self.path}"
        try:
            answer = httpx.post(url, content=body, headers=PROTOBUF, timeout=5, trust_env=False)
        except httpx.TransportError:
            return False
        assert answer.status_code in (200, 429, 503), answer.content
        return answer.status_code == 200


class HttpLogSender(HttpSender):
    """Log records over HTTP."""

    path = "/v1/logs"


class GrpcSender(Sender):
    """Over gRPC."""

    def __init__(
        self, name: str, body: Callable[[str], bytes], data_dir: Path, method: str
    ) -> None:
        super().__init__(name, body, data_dir)
        self._method = method

    def send(self, running: runfile.RunFile, body: bytes) -> bool:
        """One try; whether it was acknowledged."""
        target = running.otlp_grpc_url.removeprefix("http://")
        with grpc.insecure_channel(target, [("grpc.enable_http_proxy", 0)]) as channel:
            try:
                channel.unary_unary(self._method)(body, timeout=5)
            except grpc.RpcError as error:
                code = error.code()
                assert code in RETRIED, code
                return False
        return True


RETRIED = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.CANCELLED,
)


def spans(name: str) -> bytes:
    """A request of a few spans of one trace, on three days."""
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.add(key="service.name").value.string_value = "kill"
    scope = group.scope_spans.add()
    trace_id = os.urandom(16)
    for number in range(PER_REQUEST):
        start = START_NS + number % 3 * DAY_NS + number
        scope.spans.add(
            name=name, trace_id=trace_id, span_id=os.urandom(8), start_time_unix_nano=start,
            end_time_unix_nano=start + 5,
        )  # fmt: skip
    return request.SerializeToString()


def logs(name: str) -> bytes:
    """A request of a few log records, on three days."""
    request = ExportLogsServiceRequest()
    group = request.resource_logs.add()
    group.resource.attributes.add(key="service.name").value.string_value = "kill"
    scope = group.scope_logs.add()
    for number in range(PER_REQUEST):
        record = scope.log_records.add(time_unix_nano=START_NS + number % 3 * DAY_NS + number)
        record.body.string_value = name
    return request.SerializeToString()


def metrics(name: str) -> bytes:
    """A request of data points of two kinds, which are in two tables, on three days."""
    request = ExportMetricsServiceRequest()
    group = request.resource_metrics.add()
    group.resource.attributes.add(key="service.name").value.string_value = "kill"
    scope = group.scope_metrics.add()
    gauge, total = scope.metrics.add(name=name).gauge, scope.metrics.add(name=name).sum
    for number in range(PER_REQUEST):
        kind = gauge if number % 2 else total
        kind.data_points.add(time_unix_nano=START_NS + number % 3 * DAY_NS, as_int=number)
    return request.SerializeToString()


def senders(data_dir: Path) -> Sequence[Sender]:
    """One of each kind."""
    made: list[Any] = [
        HttpSender("http", spans, data_dir),
        GrpcSender("grpc", spans, data_dir, _TRACES),
        HttpLogSender("logs", logs, data_dir),
        GrpcSender("metrics", metrics, data_dir, _METRICS),
    ]
    return made
