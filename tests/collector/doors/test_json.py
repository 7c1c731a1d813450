"""OTLP/JSON: the same rows as protobuf, and answers in JSON."""

import json
import os
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from clickhouse_connect.driver.client import Client

from otel_llm.collector.stack import Stack
from otel_llm.exporters.clickhouse.client import connect
from tests.collector.doors.test_http import START_NS, settled

HEADERS = {"Content-Type": "application/json; charset=utf-8"}


@pytest.fixture(scope="module")
def client(stack: Stack) -> Iterator[Client]:
    """A client of the store."""
    client = connect(stack.run.clickhouse_url, stack.run.token)
    yield client
    client.close()


def post(stack: Stack, body: object, signal: str = "traces") -> httpx.Response:
    """Send one request."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    url = f"{stack.run.otlp_url}/v1/{signal}"
    return httpx.post(url, content=content, headers=HEADERS, trust_env=False)


def request_of(*spans: dict[str, Any]) -> dict[str, Any]:
    """A request of spans."""
    return {"resourceSpans": [{"scopeSpans": [{"spans": list(spans)}]}]}


def span(**fields: object) -> dict[str, Any]:
    """A span as the specification's example writes it."""
    given = {
        "traceId": os.urandom(16).hex().upper(),
        "spanId": os.urandom(8).hex(),
        "name": "from JSON",
        "kind": 2,
        "startTimeUnixNano": str(START_NS),
        "endTimeUnixNano": str(START_NS + 10),
        "attributes": [{"key": "big", "value": {"intValue": "9007199254740993"}}],
    }
    return {**given, **fields}


def test_a_span_in_json_is_stored(stack: Stack, client: Client) -> None:
    """Hex ids, 64-bit integers as strings, the response an empty JSON object."""
    sent = span()
    answer = post(stack, request_of(sent))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json() == {}
    settled(stack)
    sql = """SELECT TraceId, SpanKind, Duration, SpanAttributes['big'] FROM otel_traces
        WHERE SpanId = {id:String}"""
    rows = client.query(sql, parameters={"id": sent["spanId"]}).result_rows
    assert rows == [(sent["traceId"].lower(), "Server", 10, "9007199254740993")]


def test_a_partial_success_is_told_in_json(stack: Stack) -> None:
    """The number of rejected spans is a string, as protobuf's JSON has it."""
    answer = post(stack, request_of(span(), span(traceId="abcd")))
    assert answer.status_code == 200
    assert answer.json()["partialSuccess"]["rejectedSpans"] == "1"


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b"nonsense", b'{"resourceSpans": 3}', b"[" * 100_000]
)
def test_what_is_no_request_is_refused_in_json(stack: Stack, body: bytes) -> None:
    """400 with a status that can be read; deep nesting, too."""
    answer = post(stack, body)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["code"] == 3


def test_logs_in_json_are_stored(stack: Stack, client: Client) -> None:
    """Every signal may come in JSON."""
    tag = os.urandom(4).hex()
    record = {"timeUnixNano": str(START_NS), "body": {"stringValue": tag}}
    body = {"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}
    assert post(stack, body, "logs").status_code == 200
    settled(stack)
    sql = "SELECT count() FROM otel_logs WHERE Body = {tag:String}"
    assert client.command(sql, parameters={"tag": tag}) == 1


def test_json_that_becomes_large_is_refused(stack: Stack) -> None:
    """A number of two bytes takes eight in protobuf: 413, as for any body that is too large."""
    counts = [0] * 140_000
    metric = {"name": "m", "histogram": {"dataPoints": [{"bucketCounts": counts}]}}
    body = {"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]}
    content = json.dumps(body, separators=(",", ":")).encode()
    assert len(content) < stack.ingest.intake.body_bytes
    before = stack.ingest.intake.refused["oversize"]
    assert post(stack, content, "metrics").status_code == 413
    assert stack.ingest.intake.refused["oversize"] == before + 1
