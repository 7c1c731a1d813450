"""OTLP over gRPC: the same core as over HTTP, with gRPC's own words."""

import threading
from collections.abc import Iterator
from typing import Any

import grpc
import httpx
import pytest
from clickhouse_connect.driver.client import Client
from google.rpc import error_details_pb2, status_pb2
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from otel_llm.collector.doors import turns
from otel_llm.collector.doors.grpc import METHODS, READERS
from otel_llm.collector.stack import Stack
from otel_llm.exporters.clickhouse.client import connect
from tests.collector.doors.test_http import request_of, row_of, span_of
from tests.waiting import PATIENCE_S, until

TRACES = next(method for method, signal in METHODS.items() if signal == "traces")


@pytest.fixture(scope="module")
def client(stack: Stack) -> Iterator[Client]:
    """A client of the store."""
    client = connect(stack.run.clickhouse_url, stack.run.token)
    yield client
    client.close()


@pytest.fixture(scope="module")
def channel(stack: Stack) -> Iterator[grpc.Channel]:
    """A channel to the receiver."""
    with open_channel(stack) as channel:
        yield channel


def open_channel(stack: Stack) -> grpc.Channel:
    """A channel that sends bodies of any size."""
    target = stack.run.otlp_grpc_url.removeprefix("http://").replace("0.0.0.0", "127.0.0.1")
    options = [("grpc.max_send_message_length", -1), ("grpc.enable_http_proxy", 0)]
    return grpc.insecure_channel(target, options)


def export(channel: grpc.Channel, body: bytes, **options: Any) -> bytes:  # noqa: ANN401
    """Send one request."""
    answer: bytes = channel.unary_unary(TRACES)(body, timeout=30, **options)
    return answer


def refused(channel: grpc.Channel, body: bytes, **options: Any) -> grpc.RpcError:  # noqa: ANN401
    """Send one request that is refused."""
    with pytest.raises(grpc.RpcError) as error:
        export(channel, body, **options)
    return error.value


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_a_span_arrives(
    channel: grpc.Channel, client: Client, compression: grpc.Compression
) -> None:
    """Plain and gzip."""
    span = span_of(name="over gRPC")
    assert export(channel, request_of(span), compression=compression) == b""
    assert row_of(client, span)["SpanName"] == "over gRPC"


def test_both_doors_know_the_same_requests(channel: grpc.Channel, stack: Stack) -> None:
    """A request that comes again by the other door is kept once."""
    body = request_of(span_of())
    before = stack.ingest.spool.repeated
    headers = {"Content-Type": "application/x-protobuf"}
    url = f"{stack.run.otlp_url}/v1/traces"
    httpx.post(url, content=body, headers=headers, trust_env=False).raise_for_status()
    export(channel, body)
    assert stack.ingest.spool.repeated == before + 1


def test_a_partial_success_is_told_and_counted(channel: grpc.Channel, stack: Stack) -> None:
    """A span with an impossible id is rejected, the other is kept."""
    before = stack.ingest.intake.rejected["traces", "invalid"]
    answer = ExportTraceServiceResponse.FromString(
        export(channel, request_of(span_of(), span_of(trace_id=b"short")))
    )
    assert answer.partial_success.rejected_spans == 1
    assert "id" in answer.partial_success.error_message
    assert stack.ingest.intake.rejected["traces", "invalid"] == before + 1


def test_what_is_no_request_is_refused(channel: grpc.Channel, stack: Stack) -> None:
    """INVALID_ARGUMENT, counted."""
    before = stack.ingest.intake.refused["malformed"]
    error = refused(channel, b"garbage")
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert stack.ingest.intake.refused["malformed"] == before + 1


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_a_body_that_is_too_large_is_refused(
    channel: grpc.Channel, stack: Stack, compression: grpc.Compression
) -> None:
    """RESOURCE_EXHAUSTED without a delay: sending it again is of no use. Bombs, too."""
    before = stack.ingest.intake.refused["oversize"]
    error = refused(channel, bytes(8 << 20), compression=compression)
    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "grpc-status-details-bin" not in dict(error.trailing_metadata() or ())
    until(lambda: stack.ingest.intake.refused["oversize"] == before + 1)


def test_a_full_spool_says_when_to_come_again(
    channel: grpc.Channel, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RESOURCE_EXHAUSTED with RetryInfo, which is what makes exporters send it again."""
    bounds = stack.ingest.spool._bounds._replace(spool_bytes=-1)
    monkeypatch.setattr(stack.ingest.spool, "_bounds", bounds)
    error = refused(channel, request_of(span_of()))
    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    details = dict(error.trailing_metadata())["grpc-status-details-bin"]
    retry = error_details_pb2.RetryInfo()
    assert status_pb2.Status.FromString(details).details[0].Unpack(retry)
    assert retry.retry_delay.seconds > 0


def test_a_body_that_does_not_come_is_given_up(
    channel: grpc.Channel, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DEADLINE_EXCEEDED after the time limit, counted."""
    monkeypatch.setattr(turns, "READ_TIMEOUT_S", 0.1)
    before = stack.ingest.intake.refused["incomplete"]
    over = threading.Event()

    def nothing() -> Iterator[bytes]:
        over.wait(PATIENCE_S)
        yield from ()

    with pytest.raises(grpc.RpcError) as error:
        channel.stream_unary(TRACES)(nothing(), timeout=PATIENCE_S)
    over.set()
    assert error.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert stack.ingest.intake.refused["incomplete"] == before + 1


def test_calls_without_a_body_hold_nobody_up(
    channel: grpc.Channel, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight calls take all the turns and send nothing: another call is served all the same."""
    monkeypatch.setattr(turns, "HURRIED_S", 0.2)
    monkeypatch.setattr(turns, "WAIT_S", PATIENCE_S)
    over = threading.Event()

    def nothing() -> Iterator[bytes]:
        over.wait(PATIENCE_S)
        yield from ()

    calls = [
        channel.stream_unary(TRACES).future(nothing(), timeout=PATIENCE_S) for _ in range(READERS)
    ]
    until(lambda: stack.ingest.grpc._turns.taken == READERS)
    assert export(channel, request_of(span_of())) == b""
    over.set()
    codes = [call.code() for call in calls if call.exception()]
    assert codes.count(grpc.StatusCode.RESOURCE_EXHAUSTED) >= 1


def test_an_unknown_method_is_none(channel: grpc.Channel) -> None:
    """UNIMPLEMENTED."""
    with pytest.raises(grpc.RpcError) as error:
        channel.unary_unary("/x.Y/Export")(b"", timeout=PATIENCE_S)
    assert error.value.code() == grpc.StatusCode.UNIMPLEMENTED


GOOD = request_of(span_of(name="whole"))


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.binary(max_size=200) | st.binary(max_size=20).map(lambda tail: GOOD[:-20] + tail))
def test_no_bytes_break_the_receiver(channel: grpc.Channel, body: bytes) -> None:
    """Any bytes are taken or refused as malformed, never an error of the server."""
    try:
        export(channel, body)
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.INVALID_ARGUMENT  # noqa: PT017
