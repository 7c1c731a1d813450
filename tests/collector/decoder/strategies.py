"""Random OTLP requests, of everything that the messages can say."""

import math
from typing import Any

from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import (
    AnyValue,
    ArrayValue,
    InstrumentationScope,
    KeyValue,
    KeyValueList,
)
from opentelemetry.proto.logs.v1 import logs_pb2 as logs
from opentelemetry.proto.metrics.v1 import metrics_pb2 as metrics
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1 import trace_pb2 as trace

INT64 = st.integers(-(2**63), 2**63 - 1)
COUNT = st.integers(0, 2**64 - 1)
ENUM = st.integers(-(2**31), 2**31 - 1)
# ClickHouse shows the sign of a NaN, Python does not.
DOUBLE = st.floats(allow_nan=False) | st.just(math.nan)
# Half of the texts come from a few, so that keys repeat.
TEXT = st.sampled_from(["", "a", "b", "service.name", "k"]) | st.text(max_size=8)
# Within the years whose partitions the store is ready to make a hundred of in one insert.
TIME = st.integers(1_790_000_000 * 10**9, 1_790_000_000 * 10**9 + 10**15)
TRACE_ID = st.sampled_from([b"", bytes(16)]) | st.binary(min_size=16, max_size=16)
SPAN_ID = st.sampled_from([b"", bytes(8)]) | st.binary(min_size=8, max_size=8)


def few(each: st.SearchStrategy[Any], most: int = 3) -> st.SearchStrategy[list[Any]]:
    """A short list."""
    return st.lists(each, max_size=most)


def maybe(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Some of the fields: absent ones matter as much."""
    return st.fixed_dictionaries({}, optional=fields)


def built(message: type, /, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """A message with some of the fields."""
    return maybe(**fields).map(lambda given: message(**given))


LEAF = st.one_of(
    st.just(AnyValue()),
    TEXT.map(lambda each: AnyValue(string_value=each)),
    st.booleans().map(lambda each: AnyValue(bool_value=each)),
    INT64.map(lambda each: AnyValue(int_value=each)),
    DOUBLE.map(lambda each: AnyValue(double_value=each)),
    st.binary(max_size=7).map(lambda each: AnyValue(bytes_value=each)),
)
VALUE: st.SearchStrategy[AnyValue] = st.recursive(
    LEAF,
    lambda inner: st.one_of(
        few(inner).map(lambda each: AnyValue(array_value=ArrayValue(values=each))),
        few(built(KeyValue, key=TEXT, value=inner)).map(
            lambda each: AnyValue(kvlist_value=KeyValueList(values=each))
        ),
    ),
    max_leaves=6,
)
PAIRS = few(built(KeyValue, key=TEXT, value=VALUE), 5)
RESOURCE = built(Resource, attributes=PAIRS)
SCOPE = built(
    InstrumentationScope,
    name=TEXT,
    version=TEXT,
    attributes=PAIRS,
    dropped_attributes_count=st.integers(0, 2**32 - 1),
)
SPAN = built(
    trace.Span,
    trace_id=TRACE_ID,
    span_id=SPAN_ID,
    parent_span_id=SPAN_ID,
    trace_state=TEXT,
    name=TEXT,
    kind=st.integers(0, 7) | ENUM,
    start_time_unix_nano=TIME,
    end_time_unix_nano=TIME,
    attributes=PAIRS,
    dropped_events_count=st.integers(0, 9),
    events=few(built(trace.Span.Event, time_unix_nano=TIME, name=TEXT, attributes=PAIRS)),
    links=few(
        built(
            trace.Span.Link, trace_id=TRACE_ID, span_id=SPAN_ID, trace_state=TEXT, attributes=PAIRS
        )
    ),
    status=built(trace.Status, message=TEXT, code=st.integers(0, 3)),
    flags=st.integers(0, 2**32 - 1),
)
RECORD = built(
    logs.LogRecord,
    time_unix_nano=TIME,
    observed_time_unix_nano=TIME,
    severity_number=st.integers(0, 255),
    severity_text=TEXT,
    body=VALUE,
    attributes=PAIRS,
    flags=st.integers(0, 2**32 - 1),
    trace_id=TRACE_ID,
    span_id=SPAN_ID,
    event_name=TEXT,
)
COMMON = {
    "attributes": PAIRS,
    "start_time_unix_nano": TIME,
    "time_unix_nano": TIME,
    "flags": st.integers(0, 2**32 - 1),
}
EXEMPLAR = st.one_of(
    [
        built(
            metrics.Exemplar,
            filtered_attributes=PAIRS,
            time_unix_nano=TIME,
            span_id=SPAN_ID,
            trace_id=TRACE_ID,
            **value,
        )
        for value in ({"as_int": INT64}, {"as_double": DOUBLE})
    ]
)
NUMBER = st.one_of(
    [
        built(metrics.NumberDataPoint, exemplars=few(EXEMPLAR, 2), **COMMON, **value)
        for value in ({"as_int": INT64}, {"as_double": DOUBLE})
    ]
)
HISTOGRAM = built(
    metrics.HistogramDataPoint,
    count=COUNT,
    sum=DOUBLE,
    bucket_counts=few(COUNT),
    explicit_bounds=few(DOUBLE),
    exemplars=few(EXEMPLAR, 2),
    min=DOUBLE,
    max=DOUBLE,
    **COMMON,
)
BUCKETS = built(
    metrics.ExponentialHistogramDataPoint.Buckets, offset=ENUM, bucket_counts=few(COUNT)
)
EXPONENTIAL = built(
    metrics.ExponentialHistogramDataPoint,
    count=COUNT,
    sum=DOUBLE,
    scale=ENUM,
    zero_count=COUNT,
    positive=BUCKETS,
    negative=BUCKETS,
    exemplars=few(EXEMPLAR, 2),
    min=DOUBLE,
    max=DOUBLE,
    zero_threshold=DOUBLE,
    **COMMON,
)
QUANTILE = built(metrics.SummaryDataPoint.ValueAtQuantile, quantile=DOUBLE, value=DOUBLE)
SUMMARY = built(
    metrics.SummaryDataPoint, count=COUNT, sum=DOUBLE, quantile_values=few(QUANTILE), **COMMON
)
NAMED = {"name": TEXT, "description": TEXT, "unit": TEXT}
TEMPORALITY = st.integers(0, 2)


def points(
    message: type, point: st.SearchStrategy[Any], /, **fields: st.SearchStrategy[Any]
) -> st.SearchStrategy[Any]:
    """The data of a metric."""
    return built(message, data_points=few(point), **fields)


METRIC = st.one_of(
    built(metrics.Metric, **NAMED, gauge=points(metrics.Gauge, NUMBER)),
    built(
        metrics.Metric,
        **NAMED,
        sum=points(
            metrics.Sum, NUMBER, aggregation_temporality=TEMPORALITY, is_monotonic=st.booleans()
        ),
    ),
    built(
        metrics.Metric,
        **NAMED,
        histogram=points(metrics.Histogram, HISTOGRAM, aggregation_temporality=TEMPORALITY),
    ),
    built(
        metrics.Metric,
        **NAMED,
        exponential_histogram=points(
            metrics.ExponentialHistogram, EXPONENTIAL, aggregation_temporality=TEMPORALITY
        ),
    ),
    built(metrics.Metric, **NAMED, summary=points(metrics.Summary, SUMMARY)),
)
TRACES = built(
    ExportTraceServiceRequest,
    resource_spans=few(
        built(
            trace.ResourceSpans,
            resource=RESOURCE,
            schema_url=TEXT,
            scope_spans=few(built(trace.ScopeSpans, scope=SCOPE, spans=few(SPAN)), 2),
        ),
        2,
    ),
)
LOGS = built(
    ExportLogsServiceRequest,
    resource_logs=few(
        built(
            logs.ResourceLogs,
            resource=RESOURCE,
            schema_url=TEXT,
            scope_logs=few(
                built(logs.ScopeLogs, scope=SCOPE, schema_url=TEXT, log_records=few(RECORD)), 2
            ),
        ),
        2,
    ),
)
METRICS = built(
    ExportMetricsServiceRequest,
    resource_metrics=few(
        built(
            metrics.ResourceMetrics,
            resource=RESOURCE,
            schema_url=TEXT,
            scope_metrics=few(
                built(metrics.ScopeMetrics, scope=SCOPE, schema_url=TEXT, metrics=few(METRIC)), 2
            ),
        ),
        2,
    ),
)
