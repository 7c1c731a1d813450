"""Seeds of the fuzzer: requests of each signal, as protobuf and JSON, behind the byte that says so.

`python -m tests.collector.decoder.fuzz.seeds DIRECTORY` writes them.
"""

import sys
from pathlib import Path

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.collector.decoder.messages import field, pairs, request_of, span_of, text
from tests.collector.decoder.test_json import otlp_json
from tests.collector.decoder.test_values import GOLDEN

ATTRIBUTES = pairs({name: value for name, (value, _) in GOLDEN.items()})


def write(directory: Path) -> list[Path]:
    """Write every seed and return their paths."""
    directory.mkdir(parents=True, exist_ok=True)
    seeds = []
    for number, request in enumerate((_traces(), _logs(), _metrics())):
        protobuf = request.SerializeToString()
        written = otlp_json(request, enums_as_ints=number == 1)
        for way, body in ((number, protobuf), (number + 3, written)):
            seeds.append(directory / f"seed-{way}")
            seeds[-1].write_bytes(bytes([way]) + body)
    seeds.append(directory / "seed-wide")
    seeds[-1].write_bytes(b"\0" + _wide())
    return seeds


def _wide() -> bytes:
    """Many attributes of the resource, many spans that are left out: work must not multiply."""
    spans = b"\x12\x03\x0a\x01\x00" * 300
    return field(1, field(1, b"\x0a\x00" * 500) + field(2, spans))


def _traces() -> object:
    events = [Span.Event(time_unix_nano=1, name="e", attributes=ATTRIBUTES[:3])]
    links = [Span.Link(trace_id=b"\1" * 16, span_id=b"\2" * 8, attributes=ATTRIBUTES[:2])]
    status = Status(code=2, message="m")
    span = span_of(attributes=ATTRIBUTES, events=events, links=links, status=status, kind=2)
    return request_of(span, span_of(trace_state="a=b"), k=text("v"))


def _logs() -> object:
    request = ExportLogsServiceRequest()
    group = request.resource_logs.add(schema_url="s")
    group.resource.attributes.extend(ATTRIBUTES[:4])
    scope = group.scope_logs.add(schema_url="t")
    scope.scope.attributes.extend(ATTRIBUTES[:2])
    record = scope.log_records.add(time_unix_nano=1, severity_number=9, severity_text="INFO")
    record.body.CopyFrom(GOLDEN["map"][0])
    record.attributes.extend(ATTRIBUTES[-3:])
    record.trace_id, record.span_id, record.flags = b"\1" * 16, b"\2" * 8, 1
    return request


def _metrics() -> object:
    request = ExportMetricsServiceRequest()
    metrics = request.resource_metrics.add().scope_metrics.add().metrics
    point = metrics.add(name="g").gauge.data_points.add(as_int=-1, attributes=ATTRIBUTES[:2])
    point.exemplars.add(as_double=1.5, trace_id=b"\1" * 16, filtered_attributes=ATTRIBUTES[:1])
    metrics.add(name="s", unit="1").sum.data_points.add(as_double=0.5, flags=1)
    histogram = metrics.add(name="h").histogram
    histogram.aggregation_temporality = 2
    histogram.data_points.add(count=2, sum=1.0, bucket_counts=[1, 1], explicit_bounds=[0.5], max=1)
    scaled = metrics.add(name="e").exponential_histogram.data_points.add(scale=-1, zero_count=1)
    scaled.positive.offset, scaled.negative.offset = -3, 4
    scaled.positive.bucket_counts.extend([1, 2**40])
    summary = metrics.add(name="q").summary.data_points.add(count=1)
    summary.quantile_values.add(quantile=0.5, value=2)
    return request


if __name__ == "__main__":
    write(Path(sys.argv[1]))
