"""What one sender, or many, can make the OTLP receiver hold."""

import gzip
import socket
import threading
import time
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from starlette.requests import Request

from otel_llm.collector import receiver
from otel_llm.collector.otlp_rows import ExpandedError, arrow_block
from otel_llm.collector.otlp_size import decoded_over
from otel_llm.collector.stack import Stack
from otel_llm.exporters.clickhouse.interface import body as bodies
from tests.collector.test_receiver import HEADERS, message_of, pairs, request_of, span_of, text

MIB = 1 << 20


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


def message(field: int, body: bytes) -> bytes:
    """A field that is a message, with its length in four bytes."""
    size = len(body)
    shifts = [size >> shift & 0x7F for shift in (0, 7, 14, 21)]
    return bytes([field << 3 | 2, *(part | 0x80 for part in shifts[:3]), shifts[3]]) + body


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


@pytest.mark.parametrize("where", ["resource", "scope name", "scope version", "row"])
def test_what_spans_repeat_is_counted_before_it_is_made(where: str) -> None:
    """Resource, scope and the row itself count once a span; no memory of that size is taken."""
    request = ExportTraceServiceRequest.FromString(repeated(20_000, "x"))
    group = request.resource_spans[0]
    if where == "resource":
        group.resource.attributes[0].value.string_value = "x" * 5000
    elif where == "scope name":
        group.scope_spans[0].scope.name = "x" * 5000
    elif where == "scope version":
        group.scope_spans[0].scope.version = "x" * 5000
    limit = 4 * MIB if where == "row" else 64 * MIB
    tracemalloc.start()
    try:
        with pytest.raises(ExpandedError):
            arrow_block(request.SerializeToString(), limit)
        assert tracemalloc.get_traced_memory()[1] < 2 * MIB
    finally:
        tracemalloc.stop()


def test_an_ordinary_batch_is_far_from_the_bound() -> None:
    """512 spans with a usual resource fit in what a body of 1 MiB may become."""
    spans = [span_of(attributes=[]) for _ in range(512)]
    assert arrow_block(request_of(*spans, resource={"k": text("v" * 500)}), 4 * MIB)


@pytest.mark.parametrize(
    "fields",
    [(2, 2, 1), (9, 2, 2, 1), (11, 2, 2, 1), (13, 2, 2, 1), (1, 1, 1)],
    ids=["spans", "attributes", "events", "links", "resource attributes"],
)
def test_empty_messages_are_counted_before_they_are_decoded(fields: tuple[int, ...]) -> None:
    """Two bytes each on the wire, many times that in memory: counted as what they become."""
    first, *outer = fields
    many = bytes([first << 3 | 2, 0]) * MIB
    body = many
    for field in outer:
        body = message(field, body)
    assert len(body) < 3 * MIB
    assert decoded_over(body, 16 * MIB)
    with pytest.raises(ExpandedError):
        arrow_block(body, 16 * MIB)


def test_a_large_honest_body_is_not_refused() -> None:
    """Spans of a usual size take less than four times their body, decoded."""
    attributes = pairs({f"some.attribute.{i}": text("some value") for i in range(15)})
    body = request_of(*(span_of(attributes=attributes) for _ in range(4000)))
    assert len(body) > MIB
    assert not decoded_over(body, 4 * len(body))
    assert not decoded_over(body[:-7] + b"\xff" * 7, 4 * len(body))


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
