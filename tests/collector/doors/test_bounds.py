"""What one sender, or many, can make the OTLP receiver hold."""

import gzip
import socket
from urllib.parse import urlsplit

import httpx
import pytest
from google.rpc import error_details_pb2, status_pb2
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otel_llm.collector.doors import turns
from otel_llm.collector.stack import Stack
from tests.collector.doors.test_http import HEADERS, START_NS, message_of, request_of, span_of, text
from tests.waiting import PATIENCE_S, until


def repeated(spans: int, value: str) -> bytes:
    """A request whose spans are all but empty and share one resource attribute."""
    request = ExportTraceServiceRequest.FromString(request_of(resource={"k": text(value)}))
    for _ in range(spans):
        request.resource_spans[0].scope_spans[0].spans.add(start_time_unix_nano=START_NS)
    return request.SerializeToString()


def test_a_small_body_that_expands_is_refused(stack: Stack) -> None:
    """8,000 spans that repeat a large resource: 413, counted, whatever the body's own size."""
    before = stack.ingest.intake.refused["oversize"]
    body = gzip.compress(repeated(8000, "x" * 300_000))
    assert len(body) < 1000
    headers = {**HEADERS, "Content-Encoding": "gzip"}
    url = f"{stack.run.otlp_url}/v1/traces"
    answer = httpx.post(url, content=body, headers=headers, trust_env=False, timeout=60)
    assert answer.status_code == 413
    assert "smaller batches" in message_of(answer.content)
    assert stack.ingest.intake.refused["oversize"] == before + 1


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
    monkeypatch.setattr(turns, "READ_TIMEOUT_S", 0.1)
    before = stack.ingest.intake.refused["incomplete"]
    with withheld(stack) as connection:
        answer = b""
        while part := connection.recv(4096):
            answer += part
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert stack.ingest.intake.refused["incomplete"] == before + 1


def test_a_connection_that_breaks_is_counted(stack: Stack) -> None:
    """A sender that goes away within its body is no error of the server."""
    before = stack.ingest.intake.refused["incomplete"]
    withheld(stack).close()
    until(lambda: stack.ingest.intake.refused["incomplete"] == before + 1)


def test_few_bodies_are_read_at_once(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """With turns for two, the third body waits and then is told to come again; nothing is lost."""
    monkeypatch.setattr(turns, "WAIT_S", 0.2)
    monkeypatch.setattr(turns, "HURRIED_S", PATIENCE_S)  # nobody makes room
    monkeypatch.setattr(turns, "READ_TIMEOUT_S", PATIENCE_S)
    here = stack.ingest._http._turns
    monkeypatch.setattr(here._places, "total_tokens", 2)
    before = stack.ingest.intake.refused["busy"]
    connections = [withheld(stack) for _ in range(2)]
    until(lambda: here.taken == 2)
    answer = post(stack, request_of(span_of()))
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0
    assert stack.ingest.intake.refused["busy"] == before + 1
    for connection in connections:
        connection.close()
    until(lambda: here.taken == 0)
    assert post(stack, request_of(span_of())).status_code == 200


def test_bodies_that_do_not_come_make_room(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two senders with all the turns and no bodies: the third is served, one of them told 429."""
    monkeypatch.setattr(turns, "HURRIED_S", 0.2)
    monkeypatch.setattr(turns, "WAIT_S", PATIENCE_S)
    here = stack.ingest._http._turns
    monkeypatch.setattr(here._places, "total_tokens", 2)
    first, second = withheld(stack), withheld(stack)
    until(lambda: here.taken == 2)
    assert post(stack, request_of(span_of())).status_code == 200
    assert first.recv(4096).startswith(b"HTTP/1.1 429 ")
    assert here.taken == 1
    for connection in (first, second):
        connection.close()
    until(lambda: here.taken == 0)


def test_bodies_together_are_bounded(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body is refused while others hold the memory, and is taken once they are gone."""
    monkeypatch.setattr(stack.ingest.intake, "held", stack.ingest.intake.body_bytes * 4)
    assert post(stack, request_of(span_of())).status_code == 429
    monkeypatch.undo()
    assert post(stack, request_of(span_of())).status_code == 200
    until(lambda: stack.ingest.intake.held == 0)


def test_what_a_body_becomes_counts(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small body that decompresses to more than there is room for is told to come again."""
    body = request_of(span_of(name="x" * 500_000))
    held = stack.ingest.intake.body_bytes * 4 - 400_000
    monkeypatch.setattr(stack.ingest.intake, "held", held)
    url = f"{stack.run.otlp_url}/v1/traces"
    headers = {**HEADERS, "Content-Encoding": "gzip"}
    packed = gzip.compress(body)
    assert httpx.post(url, content=packed, headers=headers, trust_env=False).status_code == 429
    assert stack.ingest.intake.held == held
    monkeypatch.undo()
    assert httpx.post(url, content=packed, headers=headers, trust_env=False).status_code == 200


def test_a_full_spool_sends_senders_away(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """429 before the body is read, with the delay in the header and in RetryInfo."""
    bounds = stack.ingest.spool._bounds._replace(spool_bytes=-1)
    monkeypatch.setattr(stack.ingest.spool, "_bounds", bounds)
    answer = post(stack, request_of(span_of()))
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "2")
    status = status_pb2.Status.FromString(answer.content)
    retry = error_details_pb2.RetryInfo()
    assert status.details[0].Unpack(retry)
    assert (status.code, retry.retry_delay.seconds) == (8, 2)


def post(stack: Stack, body: bytes) -> httpx.Response:
    """Send one request on a connection of its own."""
    url = f"{stack.run.otlp_url}/v1/traces"
    return httpx.post(url, content=body, headers=HEADERS, trust_env=False, timeout=60)
