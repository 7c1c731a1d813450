"""What one sender, or many, can make the OTLP receiver hold."""

import gzip
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from starlette.requests import Request

from otel_llm.collector import receiver
from otel_llm.collector.stack import Stack
from otel_llm.exporters.clickhouse.interface import body as bodies
from tests.collector.test_receiver import HEADERS, message_of, request_of, span_of, text


def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition, at most 20 s."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.01)


def repeated(spans: int, value: str) -> bytes:
    """A request whose spans are empty and share one resource attribute."""
    request = ExportTraceServiceRequest.FromString(request_of(resource={"k": text(value)}))
    for _ in range(spans):
        request.resource_spans[0].scope_spans[0].spans.add()
    return request.SerializeToString()


def test_a_small_body_that_expands_is_refused(stack: Stack) -> None:
    """8,000 spans that repeat a large resource: 413, counted, whatever the body's own size."""
    before = stack.receiver.refused["oversize"]
    body = gzip.compress(repeated(8000, "x" * 300_000))
    assert len(body) < 1000
    headers = {**HEADERS, "Content-Encoding": "gzip"}
    url = f"{stack.run.otlp_url}/v1/traces"
    answer = httpx.post(url, content=body, headers=headers, trust_env=False, timeout=60)
    assert answer.status_code == 413
    assert "smaller batches" in message_of(answer.content)
    assert stack.receiver.refused["oversize"] == before + 1


def withheld(stack: Stack, size: int = 10) -> socket.socket:
    """A connection that has sent its headers and no body."""
    url = urlsplit(stack.run.otlp_url)
    connection = socket.create_connection((url.hostname, url.port or 0), timeout=20)
    head = f"POST /v1/traces HTTP/1.1\r\nHost: {url.netloc}\r\nContent-Length: {size}\r\n"
    connection.sendall(f"{head}Content-Type: application/x-protobuf\r\n\r\n".encode())
    return connection


def test_a_body_that_does_not_come_is_given_up(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """408 after the time limit, counted, and the connection is closed."""
    monkeypatch.setattr(receiver, "_READ_TIMEOUT_S", 0.1)
    before = stack.receiver.refused["incomplete"]
    with withheld(stack) as connection:
        answer = b""
        while part := connection.recv(4096):
            answer += part
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert stack.receiver.refused["incomplete"] == before + 1


def test_a_connection_that_breaks_is_counted(stack: Stack) -> None:
    """A sender that goes away within its body is no error of the server."""
    before = stack.receiver.refused["incomplete"]
    withheld(stack).close()
    until(lambda: stack.receiver.refused["incomplete"] == before + 1)


def test_few_bodies_are_read_at_once(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 20 withheld bodies 8 are being read; the others wait and are read when those end."""
    reading, most, total = 0, 0, 0
    read = bodies.read_body

    async def watched(request: Request, limit: int) -> bytes:
        nonlocal reading, most, total
        reading, total = reading + 1, total + 1
        most = max(most, reading)
        try:
            return await read(request, limit)
        finally:
            reading -= 1

    monkeypatch.setattr(receiver, "read_body", watched)
    before = stack.receiver.refused["incomplete"]
    connections = [withheld(stack) for _ in range(20)]
    until(lambda: reading == 8)
    with httpx.Client(trust_env=False) as client:
        # The receiver has taken all 20 connections once it answers one that came after them.
        client.get(f"{stack.run.otlp_url}/metrics").raise_for_status()
    assert (reading, total) == (8, 8)
    for connection in connections:
        connection.close()
    until(lambda: stack.receiver.refused["incomplete"] == before + 20)
    assert (most, total) == (8, 20)


def test_few_bodies_are_written_at_once(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 12 requests 2 are being written and 6 more are held; all are stored in the end."""
    lock, go = threading.Lock(), threading.Event()
    running, most = 0, 0

    def slow(_store: object, _body: bytes) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        assert go.wait(20)
        with lock:
            running -= 1

    monkeypatch.setattr(receiver.TraceStore, "write", slow)
    url = f"{stack.run.otlp_url}/v1/traces"

    def send(_index: int) -> int:
        body = request_of(span_of())
        return httpx.post(url, content=body, headers=HEADERS, trust_env=False).status_code

    with ThreadPoolExecutor(12) as pool:
        answers = pool.map(send, range(12))
        try:
            until(lambda: stack.receiver._writers.statistics().tasks_waiting == 6)
        finally:
            go.set()
        assert list(answers) == [200] * 12
    assert most == 2
