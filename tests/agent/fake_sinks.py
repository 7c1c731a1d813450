"""A local HTTP server that takes rows and spans, and misbehaves when told to.

It speaks as much of ClickHouse's HTTP interface as clickhouse-connect asks for, drops a block whose
token it knows, and keeps what came so that a test can count.
"""

import hashlib
import http.server
import io
import re
import ssl
import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pyarrow as pa
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

OK = 200
HANG_UP = -1
"""Take the batch, then close the connection without an answer."""
_INSERT = re.compile(r"INSERT INTO (\w+) .*FORMAT (ArrowStream|Native)", re.DOTALL)
INSERT_SETTINGS = {
    "deduplicate_blocks_in_dependent_materialized_views": ["1"],
    "distributed_foreground_insert": ["1"],
}
"""What a delivery of rows must ask for, or it is refused."""

Behaviour = Callable[[str], int]
"""Given `clickhouse` or `otlp`, the status to answer a delivery with, or HANG_UP."""


class FakeSinks:
    """Both sinks at one address.

    Args:
        tls: speak TLS.

    Attributes:
        behave: how deliveries are answered; may be set at any time.
        delay_s: how long every delivery takes, in seconds.
        waiting: deliveries that have come, answered or not.
        rows_headers: of the last delivery of rows.
        otlp_headers: of every answer to spans.
        rejected_spans: partial success: spans said not to be kept, per delivery.
        deliveries: how many came, answered with what.
        native: blocks in Native format, each once.
        changed: batches that came again with other bytes.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.behave: Behaviour = lambda _sink: OK
        self.delay_s = 0.0
        self.rows_headers: dict[str, str] = {}
        self.otlp_headers = {"content-type": "application/x-protobuf"}
        self.rejected_spans = 0
        self.waiting = 0
        self.deliveries: list[tuple[str, int]] = []
        self.native: list[bytes] = []
        self.changed: list[str] = []
        self._digests: dict[str, str] = {}
        self._seen: set[str] = set()
        self._tables: dict[str, list[dict[str, Any]]] = {}
        self._spans: list[Any] = []
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._scheme = "https" if tls else "http"
        if tls:
            # The handshake is left to the connection's own thread.
            self._server.socket = tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}
        )
        self._thread.start()

    @property
    def url(self) -> str:
        """Base URL of both."""
        return f"{self._scheme}://127.0.0.1:{self._server.server_port}"

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Rows of a table, each block once."""
        with self._lock:
            return list(self._tables.get(table, []))

    @property
    def spans(self) -> list[Any]:
        """Spans, each batch once."""
        with self._lock:
            return list(self._spans)

    def close(self) -> None:
        """Stop serving."""
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _take(self, path: str, body: bytes) -> int:
        """Store a delivery and say how to answer."""
        sink = "otlp" if path.startswith("/v1/traces") else "clickhouse"
        self.waiting += 1
        self._closing.wait(self.delay_s)
        status = self.behave(sink)
        self.deliveries.append((sink, status))
        if status in (OK, HANG_UP):
            with self._lock:
                self._store(sink, path, body)
        return status

    def _store(self, sink: str, path: str, body: bytes) -> None:
        digest = hashlib.sha256(body).hexdigest()
        token = digest
        if sink == "clickhouse":
            [token] = parse_qs(urlsplit(path).query)["insert_deduplication_token"]
        if self._digests.setdefault(token, digest) != digest:
            self.changed.append(token)
        if token in self._seen:
            return
        self._seen.add(token)
        if sink == "otlp":
            self._store_spans(body)
            return
        [query] = parse_qs(urlsplit(path).query)["query"]
        head = _INSERT.match(query)
        assert head is not None, query
        plain = pa.input_stream(io.BytesIO(body), compression="zstd").read()
        if head[2] == "Native":
            self.native.append(plain)
            return
        rows = pa.ipc.open_stream(plain).read_all().to_pylist()
        self._tables.setdefault(head[1], []).extend(rows)

    def _store_spans(self, body: bytes) -> None:
        request = ExportTraceServiceRequest()
        request.ParseFromString(body)
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                self._spans.extend(scope.spans)

    def _answer(self, path: str, body: bytes) -> tuple[int, bytes]:
        if path.startswith("/v1/traces"):
            status = self._take(path, body)
            if not self.rejected_spans:
                return status, b""
            partial = ExportTracePartialSuccess(rejected_spans=self.rejected_spans)
            return status, ExportTraceServiceResponse(partial_success=partial).SerializeToString()
        if "insert_deduplication_token" in path:
            if not parse_qs(urlsplit(path).query).items() >= INSERT_SETTINGS.items():
                return 400, b"settings are missing"
            return self._take(path, body), b""
        return OK, b"26.9.1.1\tUTC\n" if b"version()" in body else b""

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        sinks = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                length = int(self.headers.get("content-length") or 0)
                body = self.rfile.read(length)
                if len(body) < length:  # killed within it: no server takes half a batch
                    self.close_connection = True
                    return
                if "insert_deduplication_token" in self.path:
                    sinks.rows_headers = dict(self.headers)
                status, answer = sinks._answer(self.path, body)
                if status == HANG_UP:
                    self.close_connection = True
                    return
                self.send_response(status)
                if self.path.startswith("/v1/traces"):
                    for name, value in sinks.otlp_headers.items():
                        self.send_header(name, value)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_POST  # noqa: N815  named by the base class

            def handle(self) -> None:
                # A killed agent leaves its connections in the middle of a word.
                try:
                    super().handle()
                except (ConnectionError, ssl.SSLError):
                    self.close_connection = True

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler
