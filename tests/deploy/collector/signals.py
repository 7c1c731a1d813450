"""OTLP requests with something of everything."""

import time

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, InstrumentationScope
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    Exemplar,
    ExponentialHistogram,
    ExponentialHistogramDataPoint,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    Sum,
    Summary,
    SummaryDataPoint,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.collector.decoder.messages import pairs, request_of, span_of, text
from tests.deploy.collector.traffic import Sent, protobuf

# The receiver takes no time far from now.
START_NS = time.time_ns() - 60 * 10**9
_RESOURCE = pairs({"service.name": text("signals"), "empty": text("")})
_SCOPE = InstrumentationScope(name="scope", version="1", attributes=pairs({"s": text("t")}))
_ATTRIBUTES = pairs({"b": text("x"), "a": AnyValue(int_value=3), "c": AnyValue(double_value=1.5)})
_LIST = AnyValue(array_value=ArrayValue(values=[text("one"), AnyValue(bool_value=True)]))


def logs() -> Sent:
    """Logs with bodies of several kinds, with a trace and without."""
    request = ExportLogsServiceRequest()
    group = request.resource_logs.add(schema_url="resource-schema")
    group.resource.attributes.extend(_RESOURCE)
    scope = group.scope_logs.add(scope=_SCOPE, schema_url="scope-schema")
    for number, body in enumerate((text("a line"), AnyValue(int_value=7), _LIST, AnyValue())):
        scope.log_records.append(
            LogRecord(
                time_unix_nano=START_NS + number, observed_time_unix_nano=START_NS + 9,
                severity_number=9, severity_text="INFO", body=body, attributes=_ATTRIBUTES,
                trace_id=bytes([number]) * 16, span_id=bytes([number]) * 8, flags=1,
                event_name="event" if number else "",
            )
        )  # fmt: skip
    return protobuf("/v1/logs", request)


def metrics() -> Sent:
    """One metric of each kind, with exemplars."""
    times = {"start_time_unix_nano": START_NS, "time_unix_nano": START_NS + 10}
    exemplar = Exemplar(
        time_unix_nano=START_NS + 5, as_double=2.5, span_id=b"\1" * 8, trace_id=b"\2" * 16,
        filtered_attributes=pairs({"f": text("g")}),
    )  # fmt: skip
    number = NumberDataPoint(
        **times, as_double=1.25, attributes=_ATTRIBUTES, exemplars=[exemplar], flags=1
    )
    whole = NumberDataPoint(**times, as_int=-5)
    histogram = HistogramDataPoint(
        **times, count=6, sum=4.5, bucket_counts=[1, 2, 3], explicit_bounds=[1.0, 2.0], min=0.5,
        max=3.0, exemplars=[exemplar], attributes=_ATTRIBUTES,
    )  # fmt: skip
    buckets = ExponentialHistogramDataPoint.Buckets(offset=-1, bucket_counts=[1, 2])
    exponential = ExponentialHistogramDataPoint(
        **times, count=4, sum=2.0, scale=2, zero_count=1, positive=buckets, negative=buckets,
        min=0.1, max=1.0, attributes=_ATTRIBUTES,
    )  # fmt: skip
    quantile = SummaryDataPoint.ValueAtQuantile(quantile=0.5, value=1.0)
    summary = SummaryDataPoint(**times, count=2, sum=3.0, quantile_values=[quantile])
    named = {"description": "d", "unit": "s"}
    request = ExportMetricsServiceRequest()
    group = request.resource_metrics.add(schema_url="resource-schema")
    group.resource.attributes.extend(_RESOURCE)
    scope = group.scope_metrics.add(scope=_SCOPE, schema_url="scope-schema")
    scope.metrics.extend(
        [
            Metric(name="gauge", gauge=Gauge(data_points=[number, whole]), **named),
            Metric(
                name="sum",
                sum=Sum(data_points=[number], aggregation_temporality=2, is_monotonic=True),
            ),
            Metric(
                name="histogram",
                histogram=Histogram(data_points=[histogram], aggregation_temporality=1),
            ),
            Metric(
                name="exponential",
                exponential_histogram=ExponentialHistogram(
                    data_points=[exponential], aggregation_temporality=2
                ),
            ),
            Metric(name="summary", summary=Summary(data_points=[summary])),
        ]
    )
    return protobuf("/v1/metrics", request)


def secrets() -> Sent:
    """A span that holds what should not be in spans."""
    found = {
        "gen_ai.input.messages": text("tell me a secret"),
        "gen_ai.prompt.0.content": text("tell me"),
        "input.value": text("tell me"),
        "http.request.header.authorization": text("hunter2"),
        "note": text("key sk-abcdefghijklmnopqrst and Bearer abcdefgh123"),
        "jwt": text("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0xx.abc"),
        "who": text("mary@example.org"),
        "gen_ai.usage.input_tokens": AnyValue(int_value=12),
        "url.path": text("/v1/chat"),
    }
    event = Span.Event(
        name="gen_ai.content.prompt", attributes=pairs({"gen_ai.prompt": text("tell me more")})
    )
    times = {"start_time_unix_nano": START_NS, "end_time_unix_nano": START_NS + 5}
    span = span_of(attributes=pairs(found), events=[event], **times)
    return protobuf("/v1/traces", request_of(span, **{"service.name": text("leaky")}))
