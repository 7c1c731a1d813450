"""Answers: what is written by hand is what the official message classes read."""

import json

import pytest
from google.protobuf.json_format import Parse
from google.rpc import error_details_pb2, status_pb2
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from otel_llm.collector.decoder import Signal
from otel_llm.collector.doors import REASONS, Refusal, wire

RESPONSES = {
    "traces": (ExportTraceServiceResponse, "rejected_spans"),
    "logs": (ExportLogsServiceResponse, "rejected_log_records"),
    "metrics": (ExportMetricsServiceResponse, "rejected_data_points"),
}


@pytest.mark.parametrize("signal", ["traces", "logs", "metrics"])
@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize("rejected", [0, 1, 300])
def test_a_partial_success_is_read(signal: Signal, as_json: bool, rejected: int) -> None:
    """Count and message arrive; without a message nothing is said."""
    kind, field = RESPONSES[signal]
    message = "ünï" * 60
    written = wire.accepted(signal, rejected, message, as_json=as_json)
    read = Parse(written, kind()) if as_json else kind.FromString(written)
    assert getattr(read.partial_success, field) == rejected
    assert read.partial_success.error_message == message
    empty = wire.accepted(signal, 0, "", as_json=as_json)
    assert empty == (b"{}" if as_json else b"")


@pytest.mark.parametrize("reason", REASONS)
def test_a_status_is_read(reason: str) -> None:
    """Code and message in both encodings, and the delay where sending again is of use."""
    refusal = Refusal(reason, "why, and what to do")
    status = status_pb2.Status.FromString(wire.status(refusal, as_json=False))
    assert (status.code, status.message) == (refusal.code, refusal.message)
    read = json.loads(wire.status(refusal, as_json=True))
    assert (read["code"], read["message"]) == (refusal.code, refusal.message)
    wait = refusal.retry_after_s
    if wait is None:
        assert (list(status.details), read.get("details")) == ([], None)
        return
    retry = error_details_pb2.RetryInfo()
    assert status.details[0].Unpack(retry)
    assert retry.retry_delay.seconds == wait > 0
    assert read["details"][0]["retryDelay"] == f"{wait}s"
