"""OTLP requests as blocks of rows. Traces only, by way of Arrow."""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from otel_llm.collector.otlp_rows import SCHEMA, ExpandedError, MalformedError, arrow_block

Signal = Literal["traces", "logs", "metrics"]
COLUMNS: Mapping[str, tuple[str, ...]] = {"otel_traces": tuple(SCHEMA.names)}
FORMAT = "ArrowStream"
_LIMIT = 1 << 28


class NativeBlock(NamedTuple):
    """One block of one table."""

    table: str
    rows: int
    body: bytes


class Checked(NamedTuple):
    """What a request holds."""

    items: int
    rejected: int
    expanded: int


def check(signal: Signal, body: bytes) -> Checked:
    """Look at a request."""
    if signal != "traces":
        raise MalformedError("signal is not known")
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    try:
        block = arrow_block(body, _LIMIT)
    except ExpandedError:
        return Checked(1, 0, 1 << 62)
    request = ExportTraceServiceRequest.FromString(body)
    items = sum(len(s.spans) for r in request.resource_spans for s in r.scope_spans)
    return Checked(items, 0, len(block))


def decode(signal: Signal, bodies: Sequence[bytes]) -> list[NativeBlock]:
    """Requests as one block."""
    merged = b"".join(bodies)
    block = arrow_block(merged, _LIMIT)
    return [NativeBlock("otel_traces", check(signal, merged).items, block)] if block else []


__all__ = [
    "COLUMNS",
    "FORMAT",
    "Checked",
    "MalformedError",
    "NativeBlock",
    "Signal",
    "check",
    "decode",
]


def from_json(_signal: Signal, _body: bytes) -> bytes:
    """JSON to protobuf."""
    raise MalformedError("JSON is not read yet")
