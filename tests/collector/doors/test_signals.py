"""Traces, logs and metrics through both doors: the same treatment, and odd content kept intact."""

import gzip
import importlib
import os
import sys
from collections.abc import Callable, Iterator

import grpc
import httpx
import pytest
from clickhouse_connect.driver.client import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from otel_llm.collector.decoder import Signal
from otel_llm.collector.doors.grpc import METHODS
from otel_llm.collector.spool.record import SIGNALS
from otel_llm.collector.stack import Stack
from otel_llm.exporters.clickhouse.client import connect
from tests.collector.doors.test_grpc import open_channel
from tests.collector.doors.test_http import HEADERS, START_NS, request_of, settled, span_of
from tests.waiting import PATIENCE_S

Send = Callable[[Signal, bytes], None]
ODD = "'; DROP TABLE otel_logs; -- \0 \u2028 \x1b[31m ünï {x:String} %s"
DAY_NS = 86_400 * 10**9
OUTSIDE_NS = (0, START_NS - 31 * DAY_NS, START_NS + 2 * DAY_NS, START_NS + 100 * 365 * DAY_NS)
INSIDE_NS = (START_NS - 29 * DAY_NS, START_NS + DAY_NS // 2)


def zstd(data: bytes) -> bytes:
    """A zstd frame."""
    name = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
    packed: bytes = importlib.import_module(name).compress(data)
    return packed


@pytest.fixture(scope="module")
def client(stack: Stack) -> Iterator[Client]:
    """A client of the store."""
    client = connect(stack.run.clickhouse_url, stack.run.token)
    yield client
    client.close()


@pytest.fixture(params=["http", "http gzip", "http zstd", "grpc"])
def send(stack: Stack, request: pytest.FixtureRequest) -> Iterator[Send]:
    """Send a request through one of the doors."""
    encoding = str(request.param).partition(" ")[2]
    pack = {"": bytes, "gzip": gzip.compress, "zstd": zstd}[encoding]
    headers = {**HEADERS, "Content-Encoding": encoding} if encoding else HEADERS
    methods = {signal: method for method, signal in METHODS.items()}
    with open_channel(stack) as channel, httpx.Client(trust_env=False, timeout=PATIENCE_S) as http:

        def over_http(signal: Signal, body: bytes) -> None:
            url = f"{stack.run.otlp_url}/v1/{signal}"
            http.post(url, content=pack(body), headers=headers).raise_for_status()

        def over_grpc(signal: Signal, body: bytes) -> None:
            channel.unary_unary(methods[signal])(body, timeout=30)

        yield over_grpc if request.param == "grpc" else over_http


def body_of(signal: Signal, name: str, at_ns: int = START_NS) -> bytes:
    """A request with one item of a service of that name."""
    if signal == "traces":
        return request_of(span_of(name=name, start_time_unix_nano=at_ns))
    if signal == "logs":
        logs = ExportLogsServiceRequest()
        record = logs.resource_logs.add().scope_logs.add().log_records.add(time_unix_nano=at_ns)
        record.body.string_value = name
        return logs.SerializeToString()
    metrics = ExportMetricsServiceRequest()
    metric = metrics.resource_metrics.add().scope_metrics.add().metrics.add(name=name)
    metric.gauge.data_points.add(time_unix_nano=at_ns, as_double=1.5)
    return metrics.SerializeToString()


def posted(stack: Stack, signal: Signal, body: bytes) -> httpx.Response:
    """Send a request over HTTP."""
    url = f"{stack.run.otlp_url}/v1/{signal}"
    return httpx.post(url, content=body, headers=HEADERS, trust_env=False)


READ = {
    "traces": "SELECT SpanName FROM otel_traces WHERE SpanName LIKE {name:String}",
    "logs": "SELECT Body FROM otel_logs WHERE Body LIKE {name:String}",
    "metrics": "SELECT MetricName FROM otel_metrics_gauge WHERE MetricName LIKE {name:String}",
}


@pytest.mark.parametrize("signal", SIGNALS)
def test_every_signal_arrives_by_every_door(
    stack: Stack, client: Client, send: Send, signal: Signal
) -> None:
    """Text of any kind as it came, once, and counted under its signal."""
    tag = os.urandom(4).hex()
    before = stack.ingest.intake.accepted[signal, "items"]
    body = body_of(signal, tag + ODD)
    for _ in range(2):
        send(signal, body)
    settled(stack)
    rows = client.query(READ[signal], parameters={"name": f"{tag}%"}).result_rows
    assert rows == [(tag + ODD,)]
    assert stack.ingest.intake.accepted[signal, "items"] >= before + 1


@pytest.mark.parametrize("signal", SIGNALS)
def test_a_clock_that_is_off_is_told(stack: Stack, client: Client, signal: Signal) -> None:
    """Items older than their tables keep, or far ahead, are rejected with the reason and counted.

    What is acknowledged as kept is there, with the retention that is set by default.
    """
    tag, before = os.urandom(4).hex(), stack.ingest.intake.rejected[signal, "outside"]
    for at_ns in (*OUTSIDE_NS, *INSIDE_NS):
        answer = posted(stack, signal, body_of(signal, f"{tag} {at_ns}", at_ns))
        assert answer.status_code == 200
        assert (b"1 left out: a time before" in answer.content) == (at_ns in OUTSIDE_NS)
    assert stack.ingest.intake.rejected[signal, "outside"] == before + len(OUTSIDE_NS)
    settled(stack)
    rows = client.query(READ[signal], parameters={"name": f"{tag}%"}).result_rows
    assert sorted(rows) == sorted((f"{tag} {at_ns}",) for at_ns in INSIDE_NS)


def test_only_what_is_outside_is_left_out(stack: Stack, client: Client) -> None:
    """One request with a good span, an impossible one and an old one: both reasons are told."""
    good, old = span_of(), span_of(start_time_unix_nano=1)
    answer = posted(stack, "traces", request_of(good, old, span_of(trace_id=b"short")))
    told = ExportTraceServiceResponse.FromString(answer.content).partial_success
    assert told.rejected_spans == 2
    assert told.error_message.count("1 left out: ") == 2
    settled(stack)
    sql = "SELECT SpanId FROM otel_traces WHERE SpanId IN {ids:Array(String)}"
    ids = [span.span_id.hex() for span in (good, old)]
    assert client.query(sql, parameters={"ids": ids}).result_rows == [(ids[0],)]


def test_scattered_days_make_few_parts(stack: Stack, client: Client) -> None:
    """Spans of two centuries are taken from the days that are kept alone: few parts are made."""
    spans = [span_of(name="scattered", start_time_unix_nano=day * DAY_NS) for day in range(80_000)]
    assert posted(stack, "traces", request_of(*spans[::100])).status_code == 200
    settled(stack)
    sql = "SELECT count() FROM otel_traces WHERE SpanName = 'scattered'"
    assert int(str(client.command(sql))) <= 1


def test_span_ids_may_come_twice(stack: Stack, client: Client) -> None:
    """Two spans with the same ids in different requests are both kept: neither is the other."""
    span = span_of(name="twin")
    for body in (request_of(span), request_of(span, span_of())):
        url = f"{stack.run.otlp_url}/v1/traces"
        httpx.post(url, content=body, headers=HEADERS, trust_env=False).raise_for_status()
    settled(stack)
    sql = "SELECT count() FROM otel_traces WHERE SpanId = {id:String}"
    assert client.command(sql, parameters={"id": span.span_id.hex()}) == 2


def test_a_large_attribute_is_kept(stack: Stack, client: Client) -> None:
    """As large as the body may be."""
    span = span_of(name="x" * 900_000)
    url = f"{stack.run.otlp_url}/v1/traces"
    body = request_of(span)
    httpx.post(url, content=body, headers=HEADERS, trust_env=False).raise_for_status()
    settled(stack)
    sql = "SELECT length(SpanName) FROM otel_traces WHERE SpanId = {id:String}"
    assert client.command(sql, parameters={"id": span.span_id.hex()}) == 900_000


def test_another_signal_s_request_is_none(stack: Stack) -> None:
    """Nothing that is refused or kept under a false name makes the server fail."""
    for signal in SIGNALS:
        for other in SIGNALS:
            url = f"{stack.run.otlp_url}/v1/{signal}"
            body = body_of(other, "other")
            answer = httpx.post(url, content=body, headers=HEADERS, trust_env=False)
            assert answer.status_code in (200, 400)
    settled(stack)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_no_bytes_break_a_door(stack: Stack, data: st.DataObject) -> None:
    """Any bytes, cuts and changes of a good request: kept or refused, and the spool goes on."""
    signal = data.draw(st.sampled_from(SIGNALS))
    good = body_of(signal, "good")
    cut = data.draw(st.integers(0, len(good)))
    changed = data.draw(st.integers(0, len(good) - 1))
    bodies = [
        good[:cut] + data.draw(st.binary(max_size=20)),
        good[:changed] + bytes([data.draw(st.integers(0, 255))]) + good[changed + 1 :],
        data.draw(st.binary(max_size=200)),
    ]
    for body in bodies:
        url = f"{stack.run.otlp_url}/v1/{signal}"
        answer = httpx.post(url, content=body, headers=HEADERS, trust_env=False)
        assert answer.status_code in (200, 400)
    settled(stack)
    assert stack.ingest.store.dropped.total() == 0


def test_a_cancelled_call_harms_nobody(stack: Stack) -> None:
    """A caller that goes away before its answer; the next one is served."""
    with open_channel(stack) as channel:
        method = next(iter(METHODS))
        call = channel.unary_unary(method).future(body_of("traces", "gone"), timeout=30)
        call.cancel()
        channel.unary_unary(method)(body_of("traces", "stays"), timeout=30)
    settled(stack)
    assert isinstance(call, grpc.Future)
