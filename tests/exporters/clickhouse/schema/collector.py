"""Names and types of the columns in the tables that the collector's clickhouseexporter makes.

As its templates of 2026 make them (logs: from 0.152 on), but for what docs/schema.md says differs.
Columns are those of `internal/sqltemplates/*_insert.sql`, read again in 2026-11. Tables are those
of `config.go`: `otel_metrics` and one of `_gauge`, `_sum`, `_summary`, `_histogram` and
`_exponential_histogram`, whatever the templates' file names say.
"""

_TEXT, _LOW, _MAP = "String", "LowCardinality(String)", "Map(LowCardinality(String), String)"
_TIME = "DateTime64(9)"
Columns = list[tuple[str, str]]

_MATERIALIZED = (
    "k8s.cluster.name", "k8s.container.name", "k8s.deployment.name", "k8s.namespace.name",
    "k8s.node.name", "k8s.pod.name", "k8s.pod.uid", "deployment.environment.name",
)  # fmt: skip
_POINT: Columns = [
    ("ResourceAttributes", _MAP),
    ("ResourceSchemaUrl", _TEXT),
    ("ScopeName", _TEXT),
    ("ScopeVersion", _TEXT),
    ("ScopeAttributes", _MAP),
    ("ScopeDroppedAttrCount", "UInt32"),
    ("ScopeSchemaUrl", _TEXT),
    ("ServiceName", _LOW),
    ("MetricName", _LOW),
    ("MetricDescription", _TEXT),
    ("MetricUnit", _TEXT),
    ("Attributes", _MAP),
    ("StartTimeUnix", _TIME),
    ("TimeUnix", _TIME),
]
_FLAGS: Columns = [("Flags", "UInt32")]
_EXEMPLARS: Columns = [
    ("Exemplars.FilteredAttributes", f"Array({_MAP})"),
    ("Exemplars.TimeUnix", f"Array({_TIME})"),
    ("Exemplars.Value", "Array(Float64)"),
    ("Exemplars.SpanId", "Array(String)"),
    ("Exemplars.TraceId", "Array(String)"),
]
_RANGE: Columns = [("Min", "Float64"), ("Max", "Float64")]
_TEMPORALITY: Columns = [("AggregationTemporality", "Int32")]
_COUNTED: Columns = [("Count", "UInt64"), ("Sum", "Float64")]

COLUMNS: dict[str, Columns] = {
    "otel_traces": [
        ("Timestamp", _TIME),
        ("TraceId", _TEXT),
        ("SpanId", _TEXT),
        ("ParentSpanId", _TEXT),
        ("TraceState", _TEXT),
        ("SpanName", _LOW),
        ("SpanKind", _LOW),
        ("ServiceName", _LOW),
        ("ResourceAttributes", _MAP),
        ("ScopeName", _TEXT),
        ("ScopeVersion", _TEXT),
        ("SpanAttributes", _MAP),
        ("Duration", "UInt64"),
        ("StatusCode", _LOW),
        ("StatusMessage", _TEXT),
        ("Events.Timestamp", f"Array({_TIME})"),
        ("Events.Name", f"Array({_LOW})"),
        ("Events.Attributes", f"Array({_MAP})"),
        ("Links.TraceId", f"Array({_TEXT})"),
        ("Links.SpanId", f"Array({_TEXT})"),
        ("Links.TraceState", f"Array({_TEXT})"),
        ("Links.Attributes", f"Array({_MAP})"),
    ],
    "otel_traces_trace_id_ts": [("TraceId", _TEXT), ("Start", "DateTime"), ("End", "DateTime")],
    "otel_logs": [
        ("Timestamp", _TIME),
        ("TraceId", _TEXT),
        ("SpanId", _TEXT),
        ("TraceFlags", "UInt8"),
        ("SeverityText", _LOW),
        ("SeverityNumber", "UInt8"),
        ("ServiceName", _LOW),
        ("Body", _TEXT),
        ("ResourceSchemaUrl", _LOW),
        ("ResourceAttributes", _MAP),
        ("ScopeSchemaUrl", _LOW),
        ("ScopeName", _TEXT),
        ("ScopeVersion", _LOW),
        ("ScopeAttributes", _MAP),
        ("LogAttributes", _MAP),
        ("EventName", _TEXT),
        *((f"__otel_materialized_{key}", _LOW) for key in _MATERIALIZED),
    ],
    "otel_metrics_gauge": [*_POINT, ("Value", "Float64"), *_FLAGS, *_EXEMPLARS],
    "otel_metrics_sum": [
        *_POINT, ("Value", "Float64"), *_FLAGS, *_EXEMPLARS, *_TEMPORALITY, ("IsMonotonic", "Bool"),
    ],
    "otel_metrics_histogram": [
        *_POINT, *_COUNTED,
        ("BucketCounts", "Array(UInt64)"),
        ("ExplicitBounds", "Array(Float64)"),
        *_EXEMPLARS, *_FLAGS, *_RANGE, *_TEMPORALITY,
    ],
    "otel_metrics_exponential_histogram": [
        *_POINT, *_COUNTED,
        ("Scale", "Int32"),
        ("ZeroCount", "UInt64"),
        ("PositiveOffset", "Int32"),
        ("PositiveBucketCounts", "Array(UInt64)"),
        ("NegativeOffset", "Int32"),
        ("NegativeBucketCounts", "Array(UInt64)"),
        *_EXEMPLARS, *_FLAGS, *_RANGE, *_TEMPORALITY,
    ],
    "otel_metrics_summary": [
        *_POINT, *_COUNTED,
        ("ValueAtQuantiles.Quantile", "Array(Float64)"),
        ("ValueAtQuantiles.Value", "Array(Float64)"),
        *_FLAGS,
    ],
}  # fmt: skip
