-- Spans, column for column as the OpenTelemetry collector's clickhouseexporter makes the table.
-- shard by cityHash64(TraceId)
-- keep 30 days by toDateTime(Timestamp)
CREATE TABLE IF NOT EXISTS otel_traces_local ON CLUSTER 'blue'
(
    Timestamp DateTime64(9) CODEC(Delta, ZSTD(1)),
    TraceId String CODEC(ZSTD(1)),
    SpanId String CODEC(ZSTD(1)),
    ParentSpanId String CODEC(ZSTD(1)),
    TraceState String CODEC(ZSTD(1)),
    SpanName LowCardinality(String) CODEC(ZSTD(1)),
    SpanKind LowCardinality(String) CODEC(ZSTD(1)),
    ServiceName LowCardinality(String) CODEC(ZSTD(1)),
    ResourceAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ScopeName String CODEC(ZSTD(1)),
    ScopeVersion String CODEC(ZSTD(1)),
    SpanAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    Duration UInt64 CODEC(ZSTD(1)),
    StatusCode LowCardinality(String) CODEC(ZSTD(1)),
    StatusMessage String CODEC(ZSTD(1)),
    Events Nested
    (
        Timestamp DateTime64(9),
        Name LowCardinality(String),
        Attributes Map(LowCardinality(String), String)
    ) CODEC(ZSTD(1)),
    Links Nested
    (
        TraceId String,
        SpanId String,
        TraceState String,
        Attributes Map(LowCardinality(String), String)
    ) CODEC(ZSTD(1)),
    INDEX idx_trace_id TraceId TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX idx_res_attr_key mapKeys(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_res_attr_value mapValues(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_span_attr_key mapKeys(SpanAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_span_attr_value mapValues(SpanAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_duration Duration TYPE minmax GRANULARITY 1,
    INDEX idx_timestamp Timestamp TYPE minmax GRANULARITY 1
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PARTITION BY toDate(Timestamp)
ORDER BY (ServiceName, toStartOfFiveMinutes(Timestamp), TraceId, Timestamp)
SETTINGS index_granularity = 1024, ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1,
    replicated_deduplication_window = 10000;

CREATE TABLE IF NOT EXISTS otel_traces ON CLUSTER 'blue' AS otel_traces_local
ENGINE = Distributed('blue', 'otel', 'otel_traces_local', cityHash64(TraceId));

-- When each trace began and ended, so that a trace is read from few parts of otel_traces.
-- shard by cityHash64(TraceId)
-- keep 30 days by Start
CREATE TABLE IF NOT EXISTS otel_traces_trace_id_ts_local ON CLUSTER 'blue'
(
    TraceId String CODEC(ZSTD(1)),
    Start DateTime CODEC(Delta, ZSTD(1)),
    End DateTime CODEC(Delta, ZSTD(1)),
    INDEX idx_trace_id TraceId TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PARTITION BY toDate(Start)
ORDER BY (TraceId, Start)
SETTINGS index_granularity = 512, ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1,
    replicated_deduplication_window = 10000;

CREATE TABLE IF NOT EXISTS otel_traces_trace_id_ts ON CLUSTER 'blue' AS otel_traces_trace_id_ts_local
ENGINE = Distributed('blue', 'otel', 'otel_traces_trace_id_ts_local', cityHash64(TraceId));

-- Fills otel_traces_trace_id_ts.
CREATE MATERIALIZED VIEW IF NOT EXISTS otel_traces_trace_id_ts_mv ON CLUSTER 'blue' TO otel_traces_trace_id_ts_local AS
SELECT
    TraceId,
    min(Timestamp) AS Start,
    max(Timestamp) AS End
FROM otel_traces_local
WHERE TraceId != ''
GROUP BY TraceId;

-- Log records, column for column as the OpenTelemetry collector's clickhouseexporter makes the table.
-- shard by cityHash64(if(TraceId = '', toString(Timestamp), TraceId))
-- keep 30 days by toDateTime(Timestamp)
CREATE TABLE IF NOT EXISTS otel_logs_local ON CLUSTER 'blue'
(
    Timestamp DateTime64(9) CODEC(Delta, ZSTD(1)),
    TraceId String CODEC(ZSTD(1)),
    SpanId String CODEC(ZSTD(1)),
    TraceFlags UInt8 CODEC(ZSTD(1)),
    SeverityText LowCardinality(String) CODEC(ZSTD(1)),
    SeverityNumber UInt8 CODEC(ZSTD(1)),
    ServiceName LowCardinality(String) CODEC(ZSTD(1)),
    Body String CODEC(ZSTD(1)),
    ResourceSchemaUrl LowCardinality(String) CODEC(ZSTD(1)),
    ResourceAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ScopeSchemaUrl LowCardinality(String) CODEC(ZSTD(1)),
    ScopeName String CODEC(ZSTD(1)),
    ScopeVersion LowCardinality(String) CODEC(ZSTD(1)),
    ScopeAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    LogAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    EventName String CODEC(ZSTD(1)),
    `__otel_materialized_k8s.cluster.name` LowCardinality(String) MATERIALIZED ResourceAttributes['k8s.cluster.name'] CODEC(ZSTD(1)),
    `__otel_materialized_k8s.container.name` LowCardinality(String) MATERIALIZED ResourceAttributes['k8s.container.name'] CODEC(ZSTD(1)),
    `__otel_materialized_k8s.deployment.name` LowCardinality(String) MATERIALIZED ResourceAttributes['k8s.deployment.name'] CODEC(ZSTD(1)),
    `__otel_materialized_k8s.namespace.name` LowCardinality(String) MATERIALIZED ResourceAttributes['k8s.namespace.name'] CODEC(ZSTD(1)),
    `__otel_materialized_k8s.node.name` LowCardinality(String) MATERIALIZED ResourceAttributes['k8s.node.name'] CODEC(ZSTD(1)),
    `__otel_materialized_k8s.pod.name` LowCardinality(String) MATERIALIZED ResourceAttributes['k8s.pod.name'] CODEC(ZSTD(1)),
    `__otel_materialized_k8s.pod.uid` LowCardinality(String) MATERIALIZED ResourceAttributes['k8s.pod.uid'] CODEC(ZSTD(1)),
    `__otel_materialized_deployment.environment.name` LowCardinality(String) MATERIALIZED ResourceAttributes['deployment.environment.name'] CODEC(ZSTD(1)),
    INDEX idx_trace_id TraceId TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX idx_res_attr_key mapKeys(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_res_attr_value mapValues(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_scope_attr_key mapKeys(ScopeAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_scope_attr_value mapValues(ScopeAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_log_attr_key mapKeys(LogAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_log_attr_value mapValues(LogAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_lower_body lower(Body) TYPE tokenbf_v1(32768, 3, 0) GRANULARITY 8
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PARTITION BY toDate(Timestamp)
ORDER BY (toStartOfFiveMinutes(Timestamp), ServiceName, Timestamp)
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1,
    replicated_deduplication_window = 10000;

CREATE TABLE IF NOT EXISTS otel_logs ON CLUSTER 'blue' AS otel_logs_local
ENGINE = Distributed('blue', 'otel', 'otel_logs_local', cityHash64(if(TraceId = '', toString(Timestamp), TraceId)));

-- Gauge points, column for column as the OpenTelemetry collector's clickhouseexporter makes the table.
-- shard by cityHash64(ServiceName, MetricName, Attributes)
-- keep 30 days by toDateTime(TimeUnix)
CREATE TABLE IF NOT EXISTS otel_metrics_gauge_local ON CLUSTER 'blue'
(
    ResourceAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ResourceSchemaUrl String CODEC(ZSTD(1)),
    ScopeName String CODEC(ZSTD(1)),
    ScopeVersion String CODEC(ZSTD(1)),
    ScopeAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ScopeDroppedAttrCount UInt32 CODEC(ZSTD(1)),
    ScopeSchemaUrl String CODEC(ZSTD(1)),
    ServiceName LowCardinality(String) CODEC(ZSTD(1)),
    MetricName LowCardinality(String) CODEC(ZSTD(1)),
    MetricDescription String CODEC(ZSTD(1)),
    MetricUnit String CODEC(ZSTD(1)),
    Attributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    StartTimeUnix DateTime64(9) CODEC(Delta, ZSTD(1)),
    TimeUnix DateTime64(9) CODEC(Delta, ZSTD(1)),
    Value Float64 CODEC(ZSTD(1)),
    Flags UInt32 CODEC(ZSTD(1)),
    Exemplars Nested
    (
        FilteredAttributes Map(LowCardinality(String), String),
        TimeUnix DateTime64(9),
        Value Float64,
        SpanId String,
        TraceId String
    ) CODEC(ZSTD(1)),
    INDEX idx_res_attr_key mapKeys(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_res_attr_value mapValues(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_scope_attr_key mapKeys(ScopeAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_scope_attr_value mapValues(ScopeAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_attr_key mapKeys(Attributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_attr_value mapValues(Attributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_time_minmax TimeUnix TYPE minmax GRANULARITY 1
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PARTITION BY toDate(TimeUnix)
ORDER BY (ServiceName, MetricName, toStartOfHour(TimeUnix), cityHash64(Attributes), TimeUnix)
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1,
    replicated_deduplication_window = 10000;

CREATE TABLE IF NOT EXISTS otel_metrics_gauge ON CLUSTER 'blue' AS otel_metrics_gauge_local
ENGINE = Distributed('blue', 'otel', 'otel_metrics_gauge_local', cityHash64(ServiceName, MetricName, Attributes));

-- Points of sums, column for column as the OpenTelemetry collector's clickhouseexporter makes the table.
-- shard by cityHash64(ServiceName, MetricName, Attributes)
-- keep 30 days by toDateTime(TimeUnix)
CREATE TABLE IF NOT EXISTS otel_metrics_sum_local ON CLUSTER 'blue'
(
    ResourceAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ResourceSchemaUrl String CODEC(ZSTD(1)),
    ScopeName String CODEC(ZSTD(1)),
    ScopeVersion String CODEC(ZSTD(1)),
    ScopeAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ScopeDroppedAttrCount UInt32 CODEC(ZSTD(1)),
    ScopeSchemaUrl String CODEC(ZSTD(1)),
    ServiceName LowCardinality(String) CODEC(ZSTD(1)),
    MetricName LowCardinality(String) CODEC(ZSTD(1)),
    MetricDescription String CODEC(ZSTD(1)),
    MetricUnit String CODEC(ZSTD(1)),
    Attributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    StartTimeUnix DateTime64(9) CODEC(Delta, ZSTD(1)),
    TimeUnix DateTime64(9) CODEC(Delta, ZSTD(1)),
    Value Float64 CODEC(ZSTD(1)),
    Flags UInt32 CODEC(ZSTD(1)),
    Exemplars Nested
    (
        FilteredAttributes Map(LowCardinality(String), String),
        TimeUnix DateTime64(9),
        Value Float64,
        SpanId String,
        TraceId String
    ) CODEC(ZSTD(1)),
    AggregationTemporality Int32 CODEC(ZSTD(1)),
    IsMonotonic Bool CODEC(ZSTD(1)),
    INDEX idx_res_attr_key mapKeys(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_res_attr_value mapValues(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_scope_attr_key mapKeys(ScopeAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_scope_attr_value mapValues(ScopeAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_attr_key mapKeys(Attributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_attr_value mapValues(Attributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_time_minmax TimeUnix TYPE minmax GRANULARITY 1
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PARTITION BY toDate(TimeUnix)
ORDER BY (ServiceName, MetricName, toStartOfHour(TimeUnix), cityHash64(Attributes), TimeUnix)
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1,
    replicated_deduplication_window = 10000;

CREATE TABLE IF NOT EXISTS otel_metrics_sum ON CLUSTER 'blue' AS otel_metrics_sum_local
ENGINE = Distributed('blue', 'otel', 'otel_metrics_sum_local', cityHash64(ServiceName, MetricName, Attributes));

-- Points of histograms with explicit bounds, column for column as the OpenTelemetry collector's clickhouseexporter makes the table.
-- shard by cityHash64(ServiceName, MetricName, Attributes)
-- keep 30 days by toDateTime(TimeUnix)
CREATE TABLE IF NOT EXISTS otel_metrics_histogram_local ON CLUSTER 'blue'
(
    ResourceAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ResourceSchemaUrl String CODEC(ZSTD(1)),
    ScopeName String CODEC(ZSTD(1)),
    ScopeVersion String CODEC(ZSTD(1)),
    ScopeAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ScopeDroppedAttrCount UInt32 CODEC(ZSTD(1)),
    ScopeSchemaUrl String CODEC(ZSTD(1)),
    ServiceName LowCardinality(String) CODEC(ZSTD(1)),
    MetricName LowCardinality(String) CODEC(ZSTD(1)),
    MetricDescription String CODEC(ZSTD(1)),
    MetricUnit String CODEC(ZSTD(1)),
    Attributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    StartTimeUnix DateTime64(9) CODEC(Delta, ZSTD(1)),
    TimeUnix DateTime64(9) CODEC(Delta, ZSTD(1)),
    Count UInt64 CODEC(Delta, ZSTD(1)),
    Sum Float64 CODEC(ZSTD(1)),
    BucketCounts Array(UInt64) CODEC(ZSTD(1)),
    ExplicitBounds Array(Float64) CODEC(ZSTD(1)),
    Exemplars Nested
    (
        FilteredAttributes Map(LowCardinality(String), String),
        TimeUnix DateTime64(9),
        Value Float64,
        SpanId String,
        TraceId String
    ) CODEC(ZSTD(1)),
    Flags UInt32 CODEC(ZSTD(1)),
    Min Float64 CODEC(ZSTD(1)),
    Max Float64 CODEC(ZSTD(1)),
    AggregationTemporality Int32 CODEC(ZSTD(1)),
    INDEX idx_res_attr_key mapKeys(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_res_attr_value mapValues(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_scope_attr_key mapKeys(ScopeAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_scope_attr_value mapValues(ScopeAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_attr_key mapKeys(Attributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_attr_value mapValues(Attributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_time_minmax TimeUnix TYPE minmax GRANULARITY 1
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PARTITION BY toDate(TimeUnix)
ORDER BY (ServiceName, MetricName, toStartOfHour(TimeUnix), cityHash64(Attributes), TimeUnix)
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1,
    replicated_deduplication_window = 10000;

CREATE TABLE IF NOT EXISTS otel_metrics_histogram ON CLUSTER 'blue' AS otel_metrics_histogram_local
ENGINE = Distributed('blue', 'otel', 'otel_metrics_histogram_local', cityHash64(ServiceName, MetricName, Attributes));

-- Points of exponential histograms, column for column as the OpenTelemetry collector's clickhouseexporter makes the table.
-- shard by cityHash64(ServiceName, MetricName, Attributes)
-- keep 30 days by toDateTime(TimeUnix)
CREATE TABLE IF NOT EXISTS otel_metrics_exponential_histogram_local ON CLUSTER 'blue'
(
    ResourceAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ResourceSchemaUrl String CODEC(ZSTD(1)),
    ScopeName String CODEC(ZSTD(1)),
    ScopeVersion String CODEC(ZSTD(1)),
    ScopeAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ScopeDroppedAttrCount UInt32 CODEC(ZSTD(1)),
    ScopeSchemaUrl String CODEC(ZSTD(1)),
    ServiceName LowCardinality(String) CODEC(ZSTD(1)),
    MetricName LowCardinality(String) CODEC(ZSTD(1)),
    MetricDescription String CODEC(ZSTD(1)),
    MetricUnit String CODEC(ZSTD(1)),
    Attributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    StartTimeUnix DateTime64(9) CODEC(Delta, ZSTD(1)),
    TimeUnix DateTime64(9) CODEC(Delta, ZSTD(1)),
    Count UInt64 CODEC(Delta, ZSTD(1)),
    Sum Float64 CODEC(ZSTD(1)),
    Scale Int32 CODEC(ZSTD(1)),
    ZeroCount UInt64 CODEC(ZSTD(1)),
    PositiveOffset Int32 CODEC(ZSTD(1)),
    PositiveBucketCounts Array(UInt64) CODEC(ZSTD(1)),
    NegativeOffset Int32 CODEC(ZSTD(1)),
    NegativeBucketCounts Array(UInt64) CODEC(ZSTD(1)),
    Exemplars Nested
    (
        FilteredAttributes Map(LowCardinality(String), String),
        TimeUnix DateTime64(9),
        Value Float64,
        SpanId String,
        TraceId String
    ) CODEC(ZSTD(1)),
    Flags UInt32 CODEC(ZSTD(1)),
    Min Float64 CODEC(ZSTD(1)),
    Max Float64 CODEC(ZSTD(1)),
    AggregationTemporality Int32 CODEC(ZSTD(1)),
    INDEX idx_res_attr_key mapKeys(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_res_attr_value mapValues(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_scope_attr_key mapKeys(ScopeAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_scope_attr_value mapValues(ScopeAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_attr_key mapKeys(Attributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_attr_value mapValues(Attributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_time_minmax TimeUnix TYPE minmax GRANULARITY 1
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PARTITION BY toDate(TimeUnix)
ORDER BY (ServiceName, MetricName, toStartOfHour(TimeUnix), cityHash64(Attributes), TimeUnix)
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1,
    replicated_deduplication_window = 10000;

CREATE TABLE IF NOT EXISTS otel_metrics_exponential_histogram ON CLUSTER 'blue' AS otel_metrics_exponential_histogram_local
ENGINE = Distributed('blue', 'otel', 'otel_metrics_exponential_histogram_local', cityHash64(ServiceName, MetricName, Attributes));

-- Points of summaries, column for column as the OpenTelemetry collector's clickhouseexporter makes the table.
-- shard by cityHash64(ServiceName, MetricName, Attributes)
-- keep 30 days by toDateTime(TimeUnix)
CREATE TABLE IF NOT EXISTS otel_metrics_summary_local ON CLUSTER 'blue'
(
    ResourceAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ResourceSchemaUrl String CODEC(ZSTD(1)),
    ScopeName String CODEC(ZSTD(1)),
    ScopeVersion String CODEC(ZSTD(1)),
    ScopeAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ScopeDroppedAttrCount UInt32 CODEC(ZSTD(1)),
    ScopeSchemaUrl String CODEC(ZSTD(1)),
    ServiceName LowCardinality(String) CODEC(ZSTD(1)),
    MetricName LowCardinality(String) CODEC(ZSTD(1)),
    MetricDescription String CODEC(ZSTD(1)),
    MetricUnit String CODEC(ZSTD(1)),
    Attributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    StartTimeUnix DateTime64(9) CODEC(Delta, ZSTD(1)),
    TimeUnix DateTime64(9) CODEC(Delta, ZSTD(1)),
    Count UInt64 CODEC(Delta, ZSTD(1)),
    Sum Float64 CODEC(ZSTD(1)),
    ValueAtQuantiles Nested
    (
        Quantile Float64,
        Value Float64
    ) CODEC(ZSTD(1)),
    Flags UInt32 CODEC(ZSTD(1)),
    INDEX idx_res_attr_key mapKeys(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_res_attr_value mapValues(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_scope_attr_key mapKeys(ScopeAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_scope_attr_value mapValues(ScopeAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_attr_key mapKeys(Attributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_attr_value mapValues(Attributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_time_minmax TimeUnix TYPE minmax GRANULARITY 1
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PARTITION BY toDate(TimeUnix)
ORDER BY (ServiceName, MetricName, toStartOfHour(TimeUnix), cityHash64(Attributes), TimeUnix)
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1,
    replicated_deduplication_window = 10000;

CREATE TABLE IF NOT EXISTS otel_metrics_summary ON CLUSTER 'blue' AS otel_metrics_summary_local
ENGINE = Distributed('blue', 'otel', 'otel_metrics_summary_local', cityHash64(ServiceName, MetricName, Attributes));

-- One row per API call at the gateway.
-- shard by cityHash64(trace_id)
-- keep 90 days by toDateTime(arrival)
CREATE TABLE IF NOT EXISTS llm_gateway_calls_local ON CLUSTER 'blue'
(
    instance_id String CODEC(ZSTD(3)),
    service LowCardinality(String) CODEC(ZSTD(1)),
    host LowCardinality(String) CODEC(ZSTD(1)),
    call_id String CODEC(ZSTD(1)),
    trace_id String CODEC(ZSTD(1)),
    span_id String CODEC(ZSTD(1)),
    parent_span_id String CODEC(ZSTD(1)),
    tenant LowCardinality(String) CODEC(ZSTD(1)),
    tier LowCardinality(String) CODEC(ZSTD(1)),
    arrival DateTime64(9, 'UTC') CODEC(T64, ZSTD(1)),
    first_content Nullable(DateTime64(9, 'UTC')) CODEC(T64, ZSTD(1)),
    last_content Nullable(DateTime64(9, 'UTC')) CODEC(T64, ZSTD(1)),
    finished DateTime64(9, 'UTC') CODEC(T64, ZSTD(1)),
    method LowCardinality(String) CODEC(ZSTD(1)),
    route LowCardinality(String) CODEC(ZSTD(1)),
    operation LowCardinality(String) CODEC(ZSTD(1)),
    model LowCardinality(String) CODEC(ZSTD(1)),
    outcome LowCardinality(String) CODEC(ZSTD(1)),
    status_code Nullable(UInt16) CODEC(ZSTD(1)),
    error_class LowCardinality(String) CODEC(ZSTD(1)),
    stream Bool CODEC(ZSTD(1)),
    samples Nullable(UInt16) CODEC(ZSTD(1)),
    chunks UInt32 CODEC(T64, ZSTD(1)),
    inter_chunk_us Array(UInt32) CODEC(ZSTD(1)),
    prompt_tokens Nullable(UInt32) CODEC(T64, ZSTD(1)),
    cached_tokens Nullable(UInt32) CODEC(T64, ZSTD(1)),
    output_tokens Nullable(UInt32) CODEC(T64, ZSTD(1)),
    attempts UInt16 CODEC(ZSTD(1)),
    response_id String CODEC(ZSTD(1)),
    request_bytes UInt64 CODEC(T64, ZSTD(1)),
    response_bytes UInt64 CODEC(T64, ZSTD(1)),
    boot_id LowCardinality(String) CODEC(ZSTD(1)),
    clock_offset_ns Int64 CODEC(ZSTD(1)),
    clock_error_ns UInt32 CODEC(ZSTD(1)),
    INDEX idx_arrival arrival TYPE minmax GRANULARITY 1,
    INDEX idx_trace_id trace_id TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX idx_call_id call_id TYPE bloom_filter(0.001) GRANULARITY 1
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PARTITION BY toDate(arrival)
ORDER BY (toStartOfHour(arrival), tenant, model, arrival)
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1,
    replicated_deduplication_window = 10000;

CREATE TABLE IF NOT EXISTS llm_gateway_calls ON CLUSTER 'blue' AS llm_gateway_calls_local
ENGINE = Distributed('blue', 'otel', 'llm_gateway_calls_local', cityHash64(trace_id));

-- One row per try of a call at an upstream.
-- shard by cityHash64(trace_id)
-- keep 90 days by toDateTime(started)
CREATE TABLE IF NOT EXISTS llm_attempts_local ON CLUSTER 'blue'
(
    instance_id String CODEC(ZSTD(3)),
    service LowCardinality(String) CODEC(ZSTD(1)),
    host LowCardinality(String) CODEC(ZSTD(1)),
    call_id String CODEC(ZSTD(1)),
    trace_id String CODEC(ZSTD(1)),
    span_id String CODEC(ZSTD(1)),
    attempt UInt16 CODEC(ZSTD(1)),
    upstream LowCardinality(String) CODEC(ZSTD(1)),
    started DateTime64(9, 'UTC') CODEC(T64, ZSTD(1)),
    first_byte Nullable(DateTime64(9, 'UTC')) CODEC(T64, ZSTD(1)),
    finished DateTime64(9, 'UTC') CODEC(T64, ZSTD(1)),
    outcome LowCardinality(String) CODEC(ZSTD(1)),
    status_code Nullable(UInt16) CODEC(ZSTD(1)),
    error_class LowCardinality(String) CODEC(ZSTD(1)),
    breaker LowCardinality(String) CODEC(ZSTD(1)),
    backoff_ns UInt64 CODEC(ZSTD(1)),
    boot_id LowCardinality(String) CODEC(ZSTD(1)),
    clock_offset_ns Int64 CODEC(ZSTD(1)),
    clock_error_ns UInt32 CODEC(ZSTD(1)),
    INDEX idx_started started TYPE minmax GRANULARITY 1,
    INDEX idx_trace_id trace_id TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX idx_call_id call_id TYPE bloom_filter(0.001) GRANULARITY 1
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PARTITION BY toDate(started)
ORDER BY (toStartOfHour(started), upstream, started)
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1,
    replicated_deduplication_window = 10000;

CREATE TABLE IF NOT EXISTS llm_attempts ON CLUSTER 'blue' AS llm_attempts_local
ENGINE = Distributed('blue', 'otel', 'llm_attempts_local', cityHash64(trace_id));

-- One row per engine request.
-- shard by cityHash64(trace_id)
-- keep 90 days by toDateTime(arrival)
CREATE TABLE IF NOT EXISTS llm_requests_local ON CLUSTER 'blue'
(
    instance_id String CODEC(ZSTD(3)),
    service LowCardinality(String) CODEC(ZSTD(1)),
    host LowCardinality(String) CODEC(ZSTD(1)),
    engine LowCardinality(String) CODEC(ZSTD(1)),
    engine_version LowCardinality(String) CODEC(ZSTD(1)),
    model LowCardinality(String) CODEC(ZSTD(1)),
    dp_rank UInt16 CODEC(ZSTD(1)),
    request_index UInt64 CODEC(Delta, ZSTD(1)),
    request_id String CODEC(ZSTD(1)),
    api_request_id String CODEC(ZSTD(1)),
    trace_id String CODEC(ZSTD(1)),
    span_id String CODEC(ZSTD(1)),
    parent_span_id String CODEC(ZSTD(1)),
    tenant LowCardinality(String) CODEC(ZSTD(1)),
    tier LowCardinality(String) CODEC(ZSTD(1)),
    attempt UInt16 CODEC(ZSTD(1)),
    operation LowCardinality(String) CODEC(ZSTD(1)),
    arrival DateTime64(9, 'UTC') CODEC(T64, ZSTD(1)),
    queued Nullable(DateTime64(9, 'UTC')) CODEC(T64, ZSTD(1)),
    scheduled Nullable(DateTime64(9, 'UTC')) CODEC(T64, ZSTD(1)),
    first_token Nullable(DateTime64(9, 'UTC')) CODEC(T64, ZSTD(1)),
    first_output Nullable(DateTime64(9, 'UTC')) CODEC(T64, ZSTD(1)),
    last_token Nullable(DateTime64(9, 'UTC')) CODEC(T64, ZSTD(1)),
    finished DateTime64(9, 'UTC') CODEC(T64, ZSTD(1)),
    outcome LowCardinality(String) CODEC(ZSTD(1)),
    finish_reason LowCardinality(String) CODEC(ZSTD(1)),
    error_type LowCardinality(String) CODEC(ZSTD(1)),
    prompt_tokens UInt32 CODEC(T64, ZSTD(1)),
    cached_tokens UInt32 CODEC(T64, ZSTD(1)),
    output_tokens UInt32 CODEC(T64, ZSTD(1)),
    recomputed_tokens UInt32 CODEC(ZSTD(1)),
    rejected_tokens UInt32 CODEC(ZSTD(1)),
    discarded_tokens UInt32 CODEC(ZSTD(1)),
    unscheduled_tokens UInt32 CODEC(ZSTD(1)),
    delivered_tokens Nullable(UInt32) CODEC(ZSTD(1)),
    max_tokens Nullable(UInt32) CODEC(ZSTD(1)),
    preemptions UInt32 CODEC(ZSTD(1)),
    sample_index UInt16 CODEC(ZSTD(1)),
    sample_count UInt16 CODEC(ZSTD(1)),
    lora LowCardinality(String) CODEC(ZSTD(1)),
    incomplete Bool CODEC(ZSTD(1)),
    boot_id LowCardinality(String) CODEC(ZSTD(1)),
    clock_offset_ns Int64 CODEC(ZSTD(1)),
    clock_error_ns UInt32 CODEC(ZSTD(1)),
    inserted DateTime64(6, 'UTC') DEFAULT now64(6) CODEC(Delta, ZSTD(1)),
    INDEX idx_arrival arrival TYPE minmax GRANULARITY 1,
    INDEX idx_trace_id trace_id TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX idx_request_id request_id TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX idx_api_request_id api_request_id TYPE bloom_filter(0.001) GRANULARITY 1
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PARTITION BY toDate(arrival)
ORDER BY (toStartOfHour(arrival), tenant, model, arrival)
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1,
    replicated_deduplication_window = 10000;

CREATE TABLE IF NOT EXISTS llm_requests ON CLUSTER 'blue' AS llm_requests_local
ENGINE = Distributed('blue', 'otel', 'llm_requests_local', cityHash64(trace_id));

-- One row per engine step, its batch as arrays.
-- shard by cityHash64(instance_id)
-- keep 30 days by toDateTime(scheduled)
CREATE TABLE IF NOT EXISTS llm_steps_local ON CLUSTER 'blue'
(
    instance_id String CODEC(ZSTD(3)),
    service LowCardinality(String) CODEC(ZSTD(1)),
    host LowCardinality(String) CODEC(ZSTD(1)),
    engine LowCardinality(String) CODEC(ZSTD(1)),
    engine_version LowCardinality(String) CODEC(ZSTD(1)),
    model LowCardinality(String) CODEC(ZSTD(1)),
    dp_rank UInt16 CODEC(ZSTD(1)),
    seq UInt64 CODEC(DoubleDelta, ZSTD(1)),
    status LowCardinality(String) CODEC(ZSTD(1)),
    scheduled DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    result Nullable(DateTime64(9, 'UTC')) CODEC(Delta, ZSTD(1)),
    execute_ns Nullable(UInt64) CODEC(T64, ZSTD(1)),
    running UInt32 CODEC(ZSTD(1)),
    waiting UInt32 CODEC(ZSTD(1)),
    kv_used UInt32 CODEC(Delta, ZSTD(1)),
    kv_total UInt32 CODEC(ZSTD(1)),
    prefill_tokens UInt32 CODEC(ZSTD(1)),
    decode_tokens UInt32 CODEC(ZSTD(1)),
    request_index Array(UInt64) CODEC(Delta, ZSTD(3)),
    phase Array(UInt8) CODEC(Delta, ZSTD(3)),
    tokens Array(UInt32) CODEC(ZSTD(3)),
    context Array(UInt32) CODEC(Delta, ZSTD(3)),
    emitted Array(UInt32) CODEC(ZSTD(3)),
    drafts Array(UInt32) CODEC(ZSTD(3)),
    accepted Array(UInt32) CODEC(ZSTD(3)),
    cudagraph_mode LowCardinality(String) CODEC(ZSTD(1)),
    trace_id String CODEC(ZSTD(1)),
    span_id String CODEC(ZSTD(1)),
    boot_id LowCardinality(String) CODEC(ZSTD(1)),
    clock_offset_ns Int64 CODEC(ZSTD(1)),
    clock_error_ns UInt32 CODEC(ZSTD(1)),
    INDEX idx_scheduled scheduled TYPE minmax GRANULARITY 1,
    INDEX idx_request_index request_index TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PARTITION BY toDate(scheduled)
ORDER BY (instance_id, dp_rank, seq)
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1,
    replicated_deduplication_window = 10000;

CREATE TABLE IF NOT EXISTS llm_steps ON CLUSTER 'blue' AS llm_steps_local
ENGINE = Distributed('blue', 'otel', 'llm_steps_local', cityHash64(instance_id));

-- One row per request in each step: llm_steps with its batch arrays laid flat.
CREATE VIEW IF NOT EXISTS llm_step_requests ON CLUSTER 'blue' AS
SELECT
    instance_id,
    service,
    host,
    engine,
    engine_version,
    model,
    dp_rank,
    seq,
    status,
    scheduled,
    result,
    execute_ns,
    cudagraph_mode,
    length(s.request_index) AS batch_size,
    member.1 AS request_index,
    member.2 AS phase,
    member.3 AS tokens,
    member.4 AS context,
    -- Not every engine says how many tokens a step yielded: then this is null, not 0.
    member.5 AS emitted,
    member.6 AS drafts,
    -- Null where something was proposed and no result told how much of it was accepted.
    member.7 AS accepted,
    boot_id,
    clock_offset_ns,
    clock_error_ns
FROM llm_steps AS s
ARRAY JOIN arrayZip(
    s.request_index,
    s.phase,
    s.tokens,
    s.context,
    arrayResize(CAST(s.emitted, 'Array(Nullable(UInt32))'), length(s.request_index)),
    arrayResize(s.drafts, length(s.request_index)),
    arrayResize(
        CAST(s.accepted, 'Array(Nullable(UInt32))'),
        length(s.request_index),
        if(empty(s.drafts), CAST(0, 'Nullable(UInt32)'), NULL)
    )
) AS member;

-- One row per kernel.
-- shard by cityHash64(instance_id)
-- keep 7 days by toDateTime(start)
CREATE TABLE IF NOT EXISTS llm_kernels_local ON CLUSTER 'blue'
(
    instance_id String CODEC(ZSTD(3)),
    service LowCardinality(String) CODEC(ZSTD(1)),
    host LowCardinality(String) CODEC(ZSTD(1)),
    dp_rank UInt16 CODEC(ZSTD(1)),
    step_seq UInt64 CODEC(DoubleDelta, ZSTD(1)),
    source LowCardinality(String) CODEC(ZSTD(1)),
    device LowCardinality(String) CODEC(ZSTD(1)),
    name LowCardinality(String) CODEC(ZSTD(1)),
    start DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    duration_ns UInt64 CODEC(ZSTD(1)),
    boot_id LowCardinality(String) CODEC(ZSTD(1)),
    clock_offset_ns Int64 CODEC(ZSTD(1)),
    clock_error_ns UInt32 CODEC(ZSTD(1)),
    INDEX idx_start start TYPE minmax GRANULARITY 1
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PARTITION BY toDate(start)
ORDER BY (instance_id, dp_rank, step_seq, start)
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1,
    replicated_deduplication_window = 10000;

CREATE TABLE IF NOT EXISTS llm_kernels ON CLUSTER 'blue' AS llm_kernels_local
ENGINE = Distributed('blue', 'otel', 'llm_kernels_local', cityHash64(instance_id));

-- Births and deaths, and what was in flight.
-- shard by cityHash64(instance_id)
-- keep 365 days by toDateTime(time)
CREATE TABLE IF NOT EXISTS llm_engine_events_local ON CLUSTER 'blue'
(
    instance_id String CODEC(ZSTD(3)),
    service LowCardinality(String) CODEC(ZSTD(1)),
    host LowCardinality(String) CODEC(ZSTD(1)),
    kind LowCardinality(String) CODEC(ZSTD(1)),
    event LowCardinality(String) CODEC(ZSTD(1)),
    time DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    steps_in_flight Array(UInt64) CODEC(ZSTD(1)),
    requests_in_flight Array(String) CODEC(ZSTD(1)),
    lost_records UInt64 CODEC(ZSTD(1)),
    boot_id LowCardinality(String) CODEC(ZSTD(1)),
    clock_offset_ns Int64 CODEC(ZSTD(1)),
    clock_error_ns UInt32 CODEC(ZSTD(1))
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PARTITION BY toDate(time)
ORDER BY (instance_id, time)
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1,
    replicated_deduplication_window = 10000;

CREATE TABLE IF NOT EXISTS llm_engine_events ON CLUSTER 'blue' AS llm_engine_events_local
ENGINE = Distributed('blue', 'otel', 'llm_engine_events_local', cityHash64(instance_id));

-- One row per step and rank: its device's time, by kernel class.
-- shard by cityHash64(instance_id)
-- keep 30 days by toDateTime(start)
CREATE TABLE IF NOT EXISTS llm_step_kernels_local ON CLUSTER 'blue'
(
    instance_id String CODEC(ZSTD(3)),
    service LowCardinality(String) CODEC(ZSTD(1)),
    host LowCardinality(String) CODEC(ZSTD(1)),
    engine LowCardinality(String) CODEC(ZSTD(1)),
    engine_version LowCardinality(String) CODEC(ZSTD(1)),
    model LowCardinality(String) CODEC(ZSTD(1)),
    dp_rank UInt16 CODEC(ZSTD(1)),
    rank UInt16 CODEC(ZSTD(1)),
    step_seq UInt64 CODEC(DoubleDelta, ZSTD(1)),
    source LowCardinality(String) CODEC(ZSTD(1)),
    device LowCardinality(String) CODEC(ZSTD(1)),
    start DateTime64(9, 'UTC') CODEC(T64, ZSTD(1)),
    span_ns UInt64 CODEC(T64, ZSTD(1)),
    busy_ns UInt64 CODEC(T64, ZSTD(1)),
    launch_gap_ns UInt64 CODEC(T64, ZSTD(1)),
    wait_gap_ns UInt64 CODEC(T64, ZSTD(1)),
    overlap_ns UInt64 CODEC(T64, ZSTD(1)),
    class Array(LowCardinality(String)) CODEC(ZSTD(3)),
    kernels Array(UInt32) CODEC(ZSTD(3)),
    kernel_ns Array(UInt64) CODEC(ZSTD(1)),
    incomplete Bool CODEC(ZSTD(1)),
    boot_id LowCardinality(String) CODEC(ZSTD(1)),
    clock_offset_ns Int64 CODEC(ZSTD(1)),
    clock_error_ns UInt32 CODEC(ZSTD(1)),
    INDEX idx_start start TYPE minmax GRANULARITY 1
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PARTITION BY toDate(start)
ORDER BY (instance_id, dp_rank, step_seq, rank)
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1,
    replicated_deduplication_window = 10000;

CREATE TABLE IF NOT EXISTS llm_step_kernels ON CLUSTER 'blue' AS llm_step_kernels_local
ENGINE = Distributed('blue', 'otel', 'llm_step_kernels_local', cityHash64(instance_id));

-- One row per kernel class in each step: llm_step_kernels with its arrays laid flat.
CREATE VIEW IF NOT EXISTS llm_step_kernel_classes ON CLUSTER 'blue' AS
SELECT
    instance_id,
    service,
    host,
    engine,
    engine_version,
    model,
    dp_rank,
    rank,
    step_seq,
    source,
    device,
    start,
    busy_ns,
    one_class AS class,
    of_class AS kernels,
    class_ns AS kernel_ns,
    incomplete
FROM llm_step_kernels
ARRAY JOIN class AS one_class, kernels AS of_class, kernel_ns AS class_ns;

-- One row per 10 s, device and kernel name.
-- shard by cityHash64(instance_id)
-- keep 30 days by toDateTime(time)
CREATE TABLE IF NOT EXISTS llm_kernels_10s_local ON CLUSTER 'blue'
(
    instance_id String CODEC(ZSTD(3)),
    service LowCardinality(String) CODEC(ZSTD(1)),
    host LowCardinality(String) CODEC(ZSTD(1)),
    engine LowCardinality(String) CODEC(ZSTD(1)),
    engine_version LowCardinality(String) CODEC(ZSTD(1)),
    model LowCardinality(String) CODEC(ZSTD(1)),
    dp_rank UInt16 CODEC(ZSTD(1)),
    rank UInt16 CODEC(ZSTD(1)),
    source LowCardinality(String) CODEC(ZSTD(1)),
    device LowCardinality(String) CODEC(ZSTD(1)),
    time DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    name LowCardinality(String) CODEC(ZSTD(1)),
    class LowCardinality(String) CODEC(ZSTD(1)),
    kernels UInt64 CODEC(ZSTD(1)),
    total_ns UInt64 CODEC(T64, ZSTD(1)),
    min_ns UInt64 CODEC(T64, ZSTD(1)),
    max_ns UInt64 CODEC(T64, ZSTD(1)),
    INDEX idx_time time TYPE minmax GRANULARITY 1
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PARTITION BY toDate(time)
ORDER BY (service, name, device, time)
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1,
    replicated_deduplication_window = 10000;

CREATE TABLE IF NOT EXISTS llm_kernels_10s ON CLUSTER 'blue' AS llm_kernels_10s_local
ENGINE = Distributed('blue', 'otel', 'llm_kernels_10s_local', cityHash64(instance_id));

-- One row per kernel name in a step that was kept in detail.
-- shard by cityHash64(instance_id)
-- keep 30 days by toDateTime(start)
CREATE TABLE IF NOT EXISTS llm_step_kernel_names_local ON CLUSTER 'blue'
(
    instance_id String CODEC(ZSTD(3)),
    service LowCardinality(String) CODEC(ZSTD(1)),
    host LowCardinality(String) CODEC(ZSTD(1)),
    dp_rank UInt16 CODEC(ZSTD(1)),
    rank UInt16 CODEC(ZSTD(1)),
    step_seq UInt64 CODEC(DoubleDelta, ZSTD(1)),
    source LowCardinality(String) CODEC(ZSTD(1)),
    device LowCardinality(String) CODEC(ZSTD(1)),
    kept LowCardinality(String) CODEC(ZSTD(1)),
    start DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    name LowCardinality(String) CODEC(ZSTD(1)),
    class LowCardinality(String) CODEC(ZSTD(1)),
    kernels UInt32 CODEC(ZSTD(1)),
    total_ns UInt64 CODEC(T64, ZSTD(1)),
    max_ns UInt64 CODEC(T64, ZSTD(1)),
    boot_id LowCardinality(String) CODEC(ZSTD(1)),
    clock_offset_ns Int64 CODEC(ZSTD(1)),
    clock_error_ns UInt32 CODEC(ZSTD(1)),
    INDEX idx_start start TYPE minmax GRANULARITY 1
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PARTITION BY toDate(start)
ORDER BY (instance_id, dp_rank, step_seq, rank, name)
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1,
    replicated_deduplication_window = 10000;

CREATE TABLE IF NOT EXISTS llm_step_kernel_names ON CLUSTER 'blue' AS llm_step_kernel_names_local
ENGINE = Distributed('blue', 'otel', 'llm_step_kernel_names_local', cityHash64(instance_id));

-- One row per sample of a device.
-- shard by cityHash64(device)
-- keep 30 days by toDateTime(time)
CREATE TABLE IF NOT EXISTS gpu_power_local ON CLUSTER 'blue'
(
    host LowCardinality(String) CODEC(ZSTD(1)),
    device LowCardinality(String) CODEC(ZSTD(1)),
    mig LowCardinality(String) CODEC(ZSTD(1)),
    kind LowCardinality(String) CODEC(ZSTD(1)),
    name LowCardinality(String) CODEC(ZSTD(1)),
    source LowCardinality(String) CODEC(ZSTD(1)),
    time DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    energy_mj Nullable(UInt64) CODEC(Delta, ZSTD(1)),
    power_mw Nullable(UInt32) CODEC(T64, ZSTD(1)),
    power_average_mw Nullable(UInt32) CODEC(T64, ZSTD(1)),
    gpu_utilization Nullable(UInt8) CODEC(ZSTD(1)),
    memory_utilization Nullable(UInt8) CODEC(ZSTD(1)),
    memory_used_bytes Nullable(UInt64) CODEC(ZSTD(1)),
    sm_clock_mhz Nullable(UInt16) CODEC(ZSTD(1)),
    memory_clock_mhz Nullable(UInt16) CODEC(ZSTD(1)),
    temperature_c Nullable(Int16) CODEC(ZSTD(1)),
    throttle_reasons Nullable(UInt64) CODEC(ZSTD(1)),
    pcie_rx_bytes_s Nullable(UInt64) CODEC(T64, ZSTD(1)),
    pcie_tx_bytes_s Nullable(UInt64) CODEC(T64, ZSTD(1)),
    nvlink_rx_bytes_s Nullable(UInt64) CODEC(T64, ZSTD(1)),
    nvlink_tx_bytes_s Nullable(UInt64) CODEC(T64, ZSTD(1)),
    ecc_corrected Nullable(UInt64) CODEC(ZSTD(1)),
    ecc_uncorrected Nullable(UInt64) CODEC(ZSTD(1)),
    remapped_rows_corrected Nullable(UInt32) CODEC(ZSTD(1)),
    remapped_rows_uncorrected Nullable(UInt32) CODEC(ZSTD(1)),
    remap_pending Nullable(Bool) CODEC(ZSTD(1)),
    sm_active Nullable(Float32) CODEC(ZSTD(1)),
    sm_occupancy Nullable(Float32) CODEC(ZSTD(1)),
    tensor_active Nullable(Float32) CODEC(ZSTD(1)),
    dram_active Nullable(Float32) CODEC(ZSTD(1)),
    read_ns UInt32 CODEC(T64, ZSTD(1)),
    boot_id LowCardinality(String) CODEC(ZSTD(1)),
    clock_offset_ns Int64 CODEC(ZSTD(1)),
    clock_error_ns UInt32 CODEC(ZSTD(1)),
    INDEX idx_time time TYPE minmax GRANULARITY 1
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PARTITION BY toDate(time)
ORDER BY (device, mig, time)
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1,
    replicated_deduplication_window = 10000;

CREATE TABLE IF NOT EXISTS gpu_power ON CLUSTER 'blue' AS gpu_power_local
ENGINE = Distributed('blue', 'otel', 'gpu_power_local', cityHash64(device));

-- What befell a device.
-- shard by cityHash64(device)
-- keep 365 days by toDateTime(time)
CREATE TABLE IF NOT EXISTS gpu_events_local ON CLUSTER 'blue'
(
    host LowCardinality(String) CODEC(ZSTD(1)),
    device LowCardinality(String) CODEC(ZSTD(1)),
    mig LowCardinality(String) CODEC(ZSTD(1)),
    time DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    event LowCardinality(String) CODEC(ZSTD(1)),
    code Nullable(UInt32) CODEC(ZSTD(1)),
    fault LowCardinality(String) CODEC(ZSTD(1)),
    message String CODEC(ZSTD(1)),
    occurrences UInt32 CODEC(ZSTD(1)),
    boot_id LowCardinality(String) CODEC(ZSTD(1)),
    clock_offset_ns Int64 CODEC(ZSTD(1)),
    clock_error_ns UInt32 CODEC(ZSTD(1))
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PARTITION BY toDate(time)
ORDER BY (device, time)
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1,
    replicated_deduplication_window = 10000;

CREATE TABLE IF NOT EXISTS gpu_events ON CLUSTER 'blue' AS gpu_events_local
ENGINE = Distributed('blue', 'otel', 'gpu_events_local', cityHash64(device));

-- The energy of a device in a window, shared out.
-- shard by cityHash64(device)
-- keep 365 days by toDateTime(started)
CREATE TABLE IF NOT EXISTS gpu_energy_ledger_local ON CLUSTER 'blue'
(
    host LowCardinality(String) CODEC(ZSTD(1)),
    device LowCardinality(String) CODEC(ZSTD(1)),
    mig LowCardinality(String) CODEC(ZSTD(1)),
    started DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    ended DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    delta_mj UInt64 CODEC(T64, ZSTD(1)),
    attributed_mj UInt64 CODEC(T64, ZSTD(1)),
    idle_mj UInt64 CODEC(T64, ZSTD(1)),
    unattributed_mj UInt64 CODEC(T64, ZSTD(1)),
    method LowCardinality(String) CODEC(ZSTD(1)),
    sharing LowCardinality(String) CODEC(ZSTD(1)),
    error_mj UInt64 CODEC(T64, ZSTD(1)),
    instances Array(String) CODEC(ZSTD(1)),
    incomplete Bool CODEC(ZSTD(1)),
    boot_id LowCardinality(String) CODEC(ZSTD(1)),
    clock_offset_ns Int64 CODEC(ZSTD(1)),
    clock_error_ns UInt32 CODEC(ZSTD(1))
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PARTITION BY toDate(started)
ORDER BY (device, mig, started)
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1,
    replicated_deduplication_window = 10000;

CREATE TABLE IF NOT EXISTS gpu_energy_ledger ON CLUSTER 'blue' AS gpu_energy_ledger_local
ENGINE = Distributed('blue', 'otel', 'gpu_energy_ledger_local', cityHash64(device));

-- Energy charged to a request on a device, in amounts that add up.
-- shard by cityHash64(trace_id)
-- keep 90 days by toDateTime(finished)
CREATE TABLE IF NOT EXISTS llm_request_energy_local ON CLUSTER 'blue'
(
    instance_id String CODEC(ZSTD(3)),
    service LowCardinality(String) CODEC(ZSTD(1)),
    host LowCardinality(String) CODEC(ZSTD(1)),
    engine LowCardinality(String) CODEC(ZSTD(1)),
    engine_version LowCardinality(String) CODEC(ZSTD(1)),
    model LowCardinality(String) CODEC(ZSTD(1)),
    dp_rank UInt16 CODEC(ZSTD(1)),
    request_index UInt64 CODEC(Delta, ZSTD(1)),
    request_id String CODEC(ZSTD(1)),
    trace_id String CODEC(ZSTD(1)),
    tenant LowCardinality(String) CODEC(ZSTD(1)),
    tier LowCardinality(String) CODEC(ZSTD(1)),
    outcome LowCardinality(String) CODEC(ZSTD(1)),
    finished DateTime64(9, 'UTC') CODEC(T64, ZSTD(1)),
    device LowCardinality(String) CODEC(ZSTD(1)),
    energy_mj UInt64 CODEC(T64, ZSTD(1)),
    prefill_mj UInt64 CODEC(T64, ZSTD(1)),
    decode_mj UInt64 CODEC(T64, ZSTD(1)),
    error_mj UInt64 CODEC(T64, ZSTD(1)),
    method LowCardinality(String) CODEC(ZSTD(1)),
    sharing LowCardinality(String) CODEC(ZSTD(1)),
    scope LowCardinality(String) CODEC(ZSTD(1)),
    incomplete Bool CODEC(ZSTD(1)),
    boot_id LowCardinality(String) CODEC(ZSTD(1)),
    clock_offset_ns Int64 CODEC(ZSTD(1)),
    clock_error_ns UInt32 CODEC(ZSTD(1)),
    INDEX idx_finished finished TYPE minmax GRANULARITY 1,
    INDEX idx_trace_id trace_id TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX idx_request_id request_id TYPE bloom_filter(0.001) GRANULARITY 1
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PARTITION BY toDate(finished)
ORDER BY (toStartOfHour(finished), tenant, model, finished)
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1,
    replicated_deduplication_window = 10000;

CREATE TABLE IF NOT EXISTS llm_request_energy ON CLUSTER 'blue' AS llm_request_energy_local
ENGINE = Distributed('blue', 'otel', 'llm_request_energy_local', cityHash64(trace_id));

-- Engine requests by the minute in which they ended, with the energy charged to them.
-- keep 400 days by minute
CREATE TABLE IF NOT EXISTS llm_requests_1m_local ON CLUSTER 'blue'
(
    minute DateTime('UTC') CODEC(Delta, ZSTD(1)),
    model LowCardinality(String) CODEC(ZSTD(1)),
    tenant LowCardinality(String) CODEC(ZSTD(1)),
    service LowCardinality(String) CODEC(ZSTD(1)),
    engine LowCardinality(String) CODEC(ZSTD(1)),
    engine_version LowCardinality(String) CODEC(ZSTD(1)),
    outcome LowCardinality(String) CODEC(ZSTD(1)),
    requests SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    incomplete SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    prompt_tokens SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    cached_tokens SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    output_tokens SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    recomputed_tokens SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    rejected_tokens SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    discarded_tokens SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    preemptions SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    energy_mj SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    prefill_mj SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    decode_mj SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    queue_us AggregateFunction(quantilesDD(0.01, 0.5, 0.9, 0.95, 0.99), Int64) CODEC(ZSTD(1)),
    ttft_us AggregateFunction(quantilesDD(0.01, 0.5, 0.9, 0.95, 0.99), Int64) CODEC(ZSTD(1)),
    tpot_us AggregateFunction(quantilesDD(0.01, 0.5, 0.9, 0.95, 0.99), Int64) CODEC(ZSTD(1)),
    e2e_us AggregateFunction(quantilesDD(0.01, 0.5, 0.9, 0.95, 0.99), Int64) CODEC(ZSTD(1))
)
ENGINE = ReplicatedAggregatingMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PARTITION BY toMonday(minute)
ORDER BY (minute, model, tenant, service, engine, engine_version, outcome)
SETTINGS index_granularity = 1024, ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1,
    replicated_deduplication_window = 10000;

CREATE TABLE IF NOT EXISTS llm_requests_1m ON CLUSTER 'blue' AS llm_requests_1m_local
ENGINE = Distributed('blue', 'otel', 'llm_requests_1m_local');

-- Fills llm_requests_1m from requests. What a request never reached is in no quantile.
CREATE MATERIALIZED VIEW IF NOT EXISTS llm_requests_1m_mv ON CLUSTER 'blue' TO llm_requests_1m_local AS
SELECT
    toStartOfMinute(finished) AS minute,
    model,
    tenant,
    service,
    engine,
    engine_version,
    outcome,
    count() AS requests,
    countIf(r.incomplete) AS incomplete,
    sum(r.prompt_tokens) AS prompt_tokens,
    sum(r.cached_tokens) AS cached_tokens,
    sum(r.output_tokens) AS output_tokens,
    sum(r.recomputed_tokens) AS recomputed_tokens,
    sum(r.rejected_tokens) AS rejected_tokens,
    sum(r.discarded_tokens) AS discarded_tokens,
    sum(r.preemptions) AS preemptions,
    quantilesDDStateIf(0.01, 0.5, 0.9, 0.95, 0.99)(
        assumeNotNull(dateDiff('us', queued, scheduled)),
        isNotNull(queued) AND isNotNull(scheduled)
    ) AS queue_us,
    quantilesDDStateIf(0.01, 0.5, 0.9, 0.95, 0.99)(
        assumeNotNull(dateDiff('us', arrival, first_output)),
        isNotNull(first_output)
    ) AS ttft_us,
    quantilesDDStateIf(0.01, 0.5, 0.9, 0.95, 0.99)(
        intDivOrZero(assumeNotNull(dateDiff('us', first_token, last_token)), r.output_tokens - 1),
        isNotNull(first_token) AND isNotNull(last_token) AND r.output_tokens > 1
    ) AS tpot_us,
    quantilesDDState(0.01, 0.5, 0.9, 0.95, 0.99)(dateDiff('us', arrival, finished)) AS e2e_us
FROM llm_requests_local AS r
GROUP BY minute, model, tenant, service, engine, engine_version, outcome;

-- Adds the energy of requests to llm_requests_1m, whenever it comes.
CREATE MATERIALIZED VIEW IF NOT EXISTS llm_request_energy_1m_mv ON CLUSTER 'blue' TO llm_requests_1m_local AS
SELECT
    toStartOfMinute(finished) AS minute,
    model,
    tenant,
    service,
    engine,
    engine_version,
    outcome,
    sum(e.energy_mj) AS energy_mj,
    sum(e.prefill_mj) AS prefill_mj,
    sum(e.decode_mj) AS decode_mj
FROM llm_request_energy_local AS e
GROUP BY minute, model, tenant, service, engine, engine_version, outcome;

-- Calls at the gateway by the minute in which they ended.
-- keep 400 days by minute
CREATE TABLE IF NOT EXISTS llm_gateway_calls_1m_local ON CLUSTER 'blue'
(
    minute DateTime('UTC') CODEC(Delta, ZSTD(1)),
    model LowCardinality(String) CODEC(ZSTD(1)),
    tenant LowCardinality(String) CODEC(ZSTD(1)),
    service LowCardinality(String) CODEC(ZSTD(1)),
    outcome LowCardinality(String) CODEC(ZSTD(1)),
    status_code UInt16 CODEC(ZSTD(1)),
    calls SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    attempts SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    prompt_tokens SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    cached_tokens SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    output_tokens SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    ttft_us AggregateFunction(quantilesDD(0.01, 0.5, 0.9, 0.95, 0.99), Int64) CODEC(ZSTD(1)),
    itl_us AggregateFunction(quantilesDD(0.01, 0.5, 0.9, 0.95, 0.99), UInt32) CODEC(ZSTD(1)),
    e2e_us AggregateFunction(quantilesDD(0.01, 0.5, 0.9, 0.95, 0.99), Int64) CODEC(ZSTD(1))
)
ENGINE = ReplicatedAggregatingMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PARTITION BY toMonday(minute)
ORDER BY (minute, model, tenant, service, outcome, status_code)
SETTINGS index_granularity = 1024, ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1,
    replicated_deduplication_window = 10000;

CREATE TABLE IF NOT EXISTS llm_gateway_calls_1m ON CLUSTER 'blue' AS llm_gateway_calls_1m_local
ENGINE = Distributed('blue', 'otel', 'llm_gateway_calls_1m_local');

-- Fills llm_gateway_calls_1m. What a call never reached is in no quantile.
CREATE MATERIALIZED VIEW IF NOT EXISTS llm_gateway_calls_1m_mv ON CLUSTER 'blue' TO llm_gateway_calls_1m_local AS
SELECT
    toStartOfMinute(finished) AS minute,
    model,
    tenant,
    service,
    outcome,
    ifNull(c.status_code, 0) AS status_code,
    count() AS calls,
    sum(c.attempts) AS attempts,
    sum(ifNull(c.prompt_tokens, 0)) AS prompt_tokens,
    sum(ifNull(c.cached_tokens, 0)) AS cached_tokens,
    sum(ifNull(c.output_tokens, 0)) AS output_tokens,
    quantilesDDStateIf(0.01, 0.5, 0.9, 0.95, 0.99)(
        assumeNotNull(dateDiff('us', arrival, first_content)),
        isNotNull(first_content)
    ) AS ttft_us,
    quantilesDDStateArray(0.01, 0.5, 0.9, 0.95, 0.99)(inter_chunk_us) AS itl_us,
    quantilesDDState(0.01, 0.5, 0.9, 0.95, 0.99)(dateDiff('us', arrival, finished)) AS e2e_us
FROM llm_gateway_calls_local AS c
GROUP BY minute, model, tenant, service, outcome, status_code;

-- Who writes facts, and where it runs: one row per process.
-- shard by cityHash64(instance_id)
-- keep 365 days by toDateTime(time)
CREATE TABLE IF NOT EXISTS llm_producers_local ON CLUSTER 'blue'
(
    instance_id String CODEC(ZSTD(3)),
    service LowCardinality(String) CODEC(ZSTD(1)),
    host LowCardinality(String) CODEC(ZSTD(1)),
    kind LowCardinality(String) CODEC(ZSTD(1)),
    engine LowCardinality(String) CODEC(ZSTD(1)),
    engine_version LowCardinality(String) CODEC(ZSTD(1)),
    model LowCardinality(String) CODEC(ZSTD(1)),
    dp_rank UInt16 CODEC(ZSTD(1)),
    time DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    host_arch LowCardinality(String) CODEC(ZSTD(1)),
    container_id String CODEC(ZSTD(1)),
    container_runtime LowCardinality(String) CODEC(ZSTD(1)),
    k8s_pod String CODEC(ZSTD(1)),
    k8s_pod_uid String CODEC(ZSTD(1)),
    k8s_namespace LowCardinality(String) CODEC(ZSTD(1)),
    k8s_node LowCardinality(String) CODEC(ZSTD(1)),
    k8s_container LowCardinality(String) CODEC(ZSTD(1)),
    k8s_owner_kind LowCardinality(String) CODEC(ZSTD(1)),
    k8s_owner LowCardinality(String) CODEC(ZSTD(1)),
    kueue_queue LowCardinality(String) CODEC(ZSTD(1)),
    volcano_job LowCardinality(String) CODEC(ZSTD(1)),
    volcano_queue LowCardinality(String) CODEC(ZSTD(1)),
    slurm_job_id String CODEC(ZSTD(1)),
    slurm_step_id String CODEC(ZSTD(1)),
    slurm_job_name LowCardinality(String) CODEC(ZSTD(1)),
    slurm_partition LowCardinality(String) CODEC(ZSTD(1)),
    slurm_node LowCardinality(String) CODEC(ZSTD(1)),
    cloud_provider LowCardinality(String) CODEC(ZSTD(1)),
    cloud_region LowCardinality(String) CODEC(ZSTD(1)),
    cloud_zone LowCardinality(String) CODEC(ZSTD(1)),
    cloud_instance_type LowCardinality(String) CODEC(ZSTD(1)),
    cloud_spot LowCardinality(String) CODEC(ZSTD(1)),
    model_version LowCardinality(String) CODEC(ZSTD(1)),
    driver_version LowCardinality(String) CODEC(ZSTD(1)),
    cuda_version LowCardinality(String) CODEC(ZSTD(1)),
    boot_id LowCardinality(String) CODEC(ZSTD(1)),
    clock_offset_ns Int64 CODEC(ZSTD(1)),
    clock_error_ns UInt32 CODEC(ZSTD(1))
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PARTITION BY toYYYYMM(time)
ORDER BY instance_id
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1,
    replicated_deduplication_window = 10000;

CREATE TABLE IF NOT EXISTS llm_producers ON CLUSTER 'blue' AS llm_producers_local
ENGINE = Distributed('blue', 'otel', 'llm_producers_local', cityHash64(instance_id));

-- Which devices an engine runs on.
ALTER TABLE llm_engine_events_local ON CLUSTER 'blue' ADD COLUMN IF NOT EXISTS devices Array(String) CODEC(ZSTD(1));

-- Which devices an engine runs on.
ALTER TABLE llm_engine_events ON CLUSTER 'blue' ADD COLUMN IF NOT EXISTS devices Array(String) CODEC(ZSTD(1));

-- How many workers an engine has on devices, on all nodes.
ALTER TABLE llm_engine_events_local ON CLUSTER 'blue' ADD COLUMN IF NOT EXISTS ranks UInt16 CODEC(ZSTD(1));

-- How many workers an engine has on devices, on all nodes.
ALTER TABLE llm_engine_events ON CLUSTER 'blue' ADD COLUMN IF NOT EXISTS ranks UInt16 CODEC(ZSTD(1));

-- What to do about an event.
ALTER TABLE gpu_events_local ON CLUSTER 'blue' ADD COLUMN IF NOT EXISTS action LowCardinality(String) CODEC(ZSTD(1));

-- What to do about an event.
ALTER TABLE gpu_events ON CLUSTER 'blue' ADD COLUMN IF NOT EXISTS action LowCardinality(String) CODEC(ZSTD(1));

-- What devices are and where: a row when one is first read, when it changes, and once a day.
-- shard by cityHash64(device)
-- keep 365 days by toDateTime(time)
CREATE TABLE IF NOT EXISTS gpu_devices_local ON CLUSTER 'blue'
(
    host LowCardinality(String) CODEC(ZSTD(1)),
    device LowCardinality(String) CODEC(ZSTD(1)),
    mig LowCardinality(String) CODEC(ZSTD(1)),
    time DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    kind LowCardinality(String) CODEC(ZSTD(1)),
    name LowCardinality(String) CODEC(ZSTD(1)),
    source LowCardinality(String) CODEC(ZSTD(1)),
    device_index UInt16 CODEC(ZSTD(1)),
    mig_profile LowCardinality(String) CODEC(ZSTD(1)),
    pci LowCardinality(String) CODEC(ZSTD(1)),
    memory_bytes Nullable(UInt64) CODEC(ZSTD(1)),
    power_limit_mw Nullable(UInt32) CODEC(ZSTD(1)),
    links Array(String) CODEC(ZSTD(1)),
    driver_version LowCardinality(String) CODEC(ZSTD(1)),
    cuda_version LowCardinality(String) CODEC(ZSTD(1)),
    host_id LowCardinality(String) CODEC(ZSTD(1)),
    host_arch LowCardinality(String) CODEC(ZSTD(1)),
    k8s_node LowCardinality(String) CODEC(ZSTD(1)),
    slurm_node LowCardinality(String) CODEC(ZSTD(1)),
    cloud_provider LowCardinality(String) CODEC(ZSTD(1)),
    cloud_region LowCardinality(String) CODEC(ZSTD(1)),
    cloud_zone LowCardinality(String) CODEC(ZSTD(1)),
    cloud_instance_type LowCardinality(String) CODEC(ZSTD(1)),
    cloud_spot LowCardinality(String) CODEC(ZSTD(1)),
    boot_id LowCardinality(String) CODEC(ZSTD(1)),
    clock_offset_ns Int64 CODEC(ZSTD(1)),
    clock_error_ns UInt32 CODEC(ZSTD(1))
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PARTITION BY toYYYYMM(time)
ORDER BY (device, mig, time)
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1,
    replicated_deduplication_window = 10000;

CREATE TABLE IF NOT EXISTS gpu_devices ON CLUSTER 'blue' AS gpu_devices_local
ENGINE = Distributed('blue', 'otel', 'gpu_devices_local', cityHash64(device));

-- Who has work on a device, one row per process and reading.
-- shard by cityHash64(device)
-- keep 30 days by toDateTime(time)
CREATE TABLE IF NOT EXISTS gpu_processes_local ON CLUSTER 'blue'
(
    host LowCardinality(String) CODEC(ZSTD(1)),
    device LowCardinality(String) CODEC(ZSTD(1)),
    mig LowCardinality(String) CODEC(ZSTD(1)),
    time DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    pid UInt32 CODEC(ZSTD(1)),
    memory_bytes Nullable(UInt64) CODEC(ZSTD(1)),
    utilization Nullable(UInt8) CODEC(ZSTD(1)),
    boot_id LowCardinality(String) CODEC(ZSTD(1)),
    clock_offset_ns Int64 CODEC(ZSTD(1)),
    clock_error_ns UInt32 CODEC(ZSTD(1))
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PARTITION BY toDate(time)
ORDER BY (device, mig, pid, time)
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1,
    replicated_deduplication_window = 10000;

CREATE TABLE IF NOT EXISTS gpu_processes ON CLUSTER 'blue' AS gpu_processes_local
ENGINE = Distributed('blue', 'otel', 'gpu_processes_local', cityHash64(device));

-- The machine's id.
ALTER TABLE llm_producers_local ON CLUSTER 'blue' ADD COLUMN IF NOT EXISTS host_id LowCardinality(String) CODEC(ZSTD(1));

-- The machine's id.
ALTER TABLE llm_producers ON CLUSTER 'blue' ADD COLUMN IF NOT EXISTS host_id LowCardinality(String) CODEC(ZSTD(1));

-- Slurm's cluster.
ALTER TABLE llm_producers_local ON CLUSTER 'blue' ADD COLUMN IF NOT EXISTS slurm_cluster LowCardinality(String) CODEC(ZSTD(1));

-- Slurm's cluster.
ALTER TABLE llm_producers ON CLUSTER 'blue' ADD COLUMN IF NOT EXISTS slurm_cluster LowCardinality(String) CODEC(ZSTD(1));

-- Account of Slurm's job.
ALTER TABLE llm_producers_local ON CLUSTER 'blue' ADD COLUMN IF NOT EXISTS slurm_account LowCardinality(String) CODEC(ZSTD(1));

-- Account of Slurm's job.
ALTER TABLE llm_producers ON CLUSTER 'blue' ADD COLUMN IF NOT EXISTS slurm_account LowCardinality(String) CODEC(ZSTD(1));

-- Job and task of an array of Slurm's.
ALTER TABLE llm_producers_local ON CLUSTER 'blue' ADD COLUMN IF NOT EXISTS slurm_array_task String CODEC(ZSTD(1));

-- Job and task of an array of Slurm's.
ALTER TABLE llm_producers ON CLUSTER 'blue' ADD COLUMN IF NOT EXISTS slurm_array_task String CODEC(ZSTD(1));

-- Ray's cluster.
ALTER TABLE llm_producers_local ON CLUSTER 'blue' ADD COLUMN IF NOT EXISTS ray_cluster LowCardinality(String) CODEC(ZSTD(1));

-- Ray's cluster.
ALTER TABLE llm_producers ON CLUSTER 'blue' ADD COLUMN IF NOT EXISTS ray_cluster LowCardinality(String) CODEC(ZSTD(1));

-- Ray's job.
ALTER TABLE llm_producers_local ON CLUSTER 'blue' ADD COLUMN IF NOT EXISTS ray_job_id String CODEC(ZSTD(1));

-- Ray's job.
ALTER TABLE llm_producers ON CLUSTER 'blue' ADD COLUMN IF NOT EXISTS ray_job_id String CODEC(ZSTD(1));

-- Who read the device of a line of the ledger.
ALTER TABLE gpu_energy_ledger_local ON CLUSTER 'blue' ADD COLUMN IF NOT EXISTS source LowCardinality(String) CODEC(ZSTD(1));

-- Who read the device of a line of the ledger.
ALTER TABLE gpu_energy_ledger ON CLUSTER 'blue' ADD COLUMN IF NOT EXISTS source LowCardinality(String) CODEC(ZSTD(1));

-- Where the busy time of steps in a line of the ledger comes from.
ALTER TABLE gpu_energy_ledger_local ON CLUSTER 'blue' ADD COLUMN IF NOT EXISTS busy LowCardinality(String) CODEC(ZSTD(1));

-- Where the busy time of steps in a line of the ledger comes from.
ALTER TABLE gpu_energy_ledger ON CLUSTER 'blue' ADD COLUMN IF NOT EXISTS busy LowCardinality(String) CODEC(ZSTD(1));

-- Who read the device of an amount.
ALTER TABLE llm_request_energy_local ON CLUSTER 'blue' ADD COLUMN IF NOT EXISTS source LowCardinality(String) CODEC(ZSTD(1));

-- Who read the device of an amount.
ALTER TABLE llm_request_energy ON CLUSTER 'blue' ADD COLUMN IF NOT EXISTS source LowCardinality(String) CODEC(ZSTD(1));

-- Where the busy time of steps in an amount comes from.
ALTER TABLE llm_request_energy_local ON CLUSTER 'blue' ADD COLUMN IF NOT EXISTS busy LowCardinality(String) CODEC(ZSTD(1));

-- Where the busy time of steps in an amount comes from.
ALTER TABLE llm_request_energy ON CLUSTER 'blue' ADD COLUMN IF NOT EXISTS busy LowCardinality(String) CODEC(ZSTD(1));

-- Device time of a request, for prices by the hour.
ALTER TABLE llm_request_energy_local ON CLUSTER 'blue' ADD COLUMN IF NOT EXISTS device_ns UInt64 CODEC(T64, ZSTD(1));

-- Device time of a request, for prices by the hour.
ALTER TABLE llm_request_energy ON CLUSTER 'blue' ADD COLUMN IF NOT EXISTS device_ns UInt64 CODEC(T64, ZSTD(1));

-- Whether a step's busy time is only a bound.
ALTER TABLE llm_step_kernels_local ON CLUSTER 'blue' ADD COLUMN IF NOT EXISTS busy_bound Bool CODEC(ZSTD(1));

-- Whether a step's busy time is only a bound.
ALTER TABLE llm_step_kernels ON CLUSTER 'blue' ADD COLUMN IF NOT EXISTS busy_bound Bool CODEC(ZSTD(1));

-- What kind of device a line of the ledger is of. Lines from before have none, and are of GPUs.
ALTER TABLE gpu_energy_ledger_local ON CLUSTER 'blue' ADD COLUMN IF NOT EXISTS kind LowCardinality(String) CODEC(ZSTD(1));

-- What kind of device a line of the ledger is of. Lines from before have none, and are of GPUs.
ALTER TABLE gpu_energy_ledger ON CLUSTER 'blue' ADD COLUMN IF NOT EXISTS kind LowCardinality(String) CODEC(ZSTD(1));

-- Which windows an amount was charged in.
ALTER TABLE llm_request_energy_local ON CLUSTER 'blue' ADD COLUMN IF NOT EXISTS window_ended_ns Array(UInt64) CODEC(Delta, ZSTD(1));

-- Which windows an amount was charged in.
ALTER TABLE llm_request_energy ON CLUSTER 'blue' ADD COLUMN IF NOT EXISTS window_ended_ns Array(UInt64) CODEC(Delta, ZSTD(1));

-- What was charged in each of them.
ALTER TABLE llm_request_energy_local ON CLUSTER 'blue' ADD COLUMN IF NOT EXISTS window_mj Array(UInt64) CODEC(T64, ZSTD(1));

-- What was charged in each of them.
ALTER TABLE llm_request_energy ON CLUSTER 'blue' ADD COLUMN IF NOT EXISTS window_mj Array(UInt64) CODEC(T64, ZSTD(1));

-- What part of a step is each member's, where the energy of some of its ranks is metered elsewhere.
ALTER TABLE llm_steps_local ON CLUSTER 'blue' ADD COLUMN IF NOT EXISTS parts Array(UInt32) CODEC(ZSTD(3));

-- What part of a step is each member's, where the energy of some of its ranks is metered elsewhere.
ALTER TABLE llm_steps ON CLUSTER 'blue' ADD COLUMN IF NOT EXISTS parts Array(UInt32) CODEC(ZSTD(3));

-- Energy of a step on a device whose engine is on another node, in amounts that add up.
-- shard by cityHash64(instance_id)
-- keep 90 days by toDateTime(started)
CREATE TABLE IF NOT EXISTS llm_step_energy_local ON CLUSTER 'blue'
(
    instance_id String CODEC(ZSTD(3)),
    service LowCardinality(String) CODEC(ZSTD(1)),
    host LowCardinality(String) CODEC(ZSTD(1)),
    engine LowCardinality(String) CODEC(ZSTD(1)),
    engine_version LowCardinality(String) CODEC(ZSTD(1)),
    model LowCardinality(String) CODEC(ZSTD(1)),
    dp_rank UInt16 CODEC(ZSTD(1)),
    rank UInt16 CODEC(ZSTD(1)),
    step_seq UInt64 CODEC(DoubleDelta, ZSTD(1)),
    device LowCardinality(String) CODEC(ZSTD(1)),
    started DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    energy_mj UInt64 CODEC(T64, ZSTD(1)),
    error_mj UInt64 CODEC(T64, ZSTD(1)),
    method LowCardinality(String) CODEC(ZSTD(1)),
    scope LowCardinality(String) CODEC(ZSTD(1)),
    busy LowCardinality(String) CODEC(ZSTD(1)),
    source LowCardinality(String) CODEC(ZSTD(1)),
    device_ns UInt64 CODEC(T64, ZSTD(1)),
    window_ended_ns Array(UInt64) CODEC(Delta, ZSTD(1)),
    window_mj Array(UInt64) CODEC(T64, ZSTD(1)),
    incomplete Bool CODEC(ZSTD(1)),
    boot_id LowCardinality(String) CODEC(ZSTD(1)),
    clock_offset_ns Int64 CODEC(ZSTD(1)),
    clock_error_ns UInt32 CODEC(ZSTD(1)),
    INDEX idx_started started TYPE minmax GRANULARITY 1
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')
PARTITION BY toDate(started)
ORDER BY (instance_id, dp_rank, step_seq)
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1,
    replicated_deduplication_window = 10000;

CREATE TABLE IF NOT EXISTS llm_step_energy ON CLUSTER 'blue' AS llm_step_energy_local
ENGINE = Distributed('blue', 'otel', 'llm_step_energy_local', cityHash64(instance_id));

-- Who told of the event: a recording says that it is one.
ALTER TABLE gpu_events_local ON CLUSTER 'blue' ADD COLUMN IF NOT EXISTS source LowCardinality(String) CODEC(ZSTD(1));

-- Who told of the event: a recording says that it is one.
ALTER TABLE gpu_events ON CLUSTER 'blue' ADD COLUMN IF NOT EXISTS source LowCardinality(String) CODEC(ZSTD(1));

-- Why a line of the ledger is incomplete. Lines from before say only that they are.
ALTER TABLE gpu_energy_ledger_local ON CLUSTER 'blue' ADD COLUMN IF NOT EXISTS flags Array(String) CODEC(ZSTD(1));

-- Why a line of the ledger is incomplete. Lines from before say only that they are.
ALTER TABLE gpu_energy_ledger ON CLUSTER 'blue' ADD COLUMN IF NOT EXISTS flags Array(String) CODEC(ZSTD(1));

ALTER TABLE otel_traces_local ON CLUSTER 'blue' MODIFY TTL toDateTime(Timestamp) + toIntervalDay(30);

ALTER TABLE otel_traces_trace_id_ts_local ON CLUSTER 'blue' MODIFY TTL Start + toIntervalDay(30);

ALTER TABLE otel_logs_local ON CLUSTER 'blue' MODIFY TTL toDateTime(Timestamp) + toIntervalDay(30);

ALTER TABLE otel_metrics_gauge_local ON CLUSTER 'blue' MODIFY TTL toDateTime(TimeUnix) + toIntervalDay(30);

ALTER TABLE otel_metrics_sum_local ON CLUSTER 'blue' MODIFY TTL toDateTime(TimeUnix) + toIntervalDay(30);

ALTER TABLE otel_metrics_histogram_local ON CLUSTER 'blue' MODIFY TTL toDateTime(TimeUnix) + toIntervalDay(30);

ALTER TABLE otel_metrics_exponential_histogram_local ON CLUSTER 'blue' MODIFY TTL toDateTime(TimeUnix) + toIntervalDay(30);

ALTER TABLE otel_metrics_summary_local ON CLUSTER 'blue' MODIFY TTL toDateTime(TimeUnix) + toIntervalDay(30);

ALTER TABLE llm_gateway_calls_local ON CLUSTER 'blue' MODIFY TTL toDateTime(arrival) + toIntervalDay(90);

ALTER TABLE llm_attempts_local ON CLUSTER 'blue' MODIFY TTL toDateTime(started) + toIntervalDay(90);

ALTER TABLE llm_requests_local ON CLUSTER 'blue' MODIFY TTL toDateTime(arrival) + toIntervalDay(90);

ALTER TABLE llm_steps_local ON CLUSTER 'blue' MODIFY TTL toDateTime(scheduled) + toIntervalDay(30);

ALTER TABLE llm_kernels_local ON CLUSTER 'blue' MODIFY TTL toDateTime(start) + toIntervalDay(7);

ALTER TABLE llm_engine_events_local ON CLUSTER 'blue' MODIFY TTL toDateTime(time) + toIntervalDay(365);

ALTER TABLE llm_step_kernels_local ON CLUSTER 'blue' MODIFY TTL toDateTime(start) + toIntervalDay(30);

ALTER TABLE llm_kernels_10s_local ON CLUSTER 'blue' MODIFY TTL toDateTime(time) + toIntervalDay(30);

ALTER TABLE llm_step_kernel_names_local ON CLUSTER 'blue' MODIFY TTL toDateTime(start) + toIntervalDay(30);

ALTER TABLE gpu_power_local ON CLUSTER 'blue' MODIFY TTL toDateTime(time) + toIntervalDay(30);

ALTER TABLE gpu_events_local ON CLUSTER 'blue' MODIFY TTL toDateTime(time) + toIntervalDay(365);

ALTER TABLE gpu_energy_ledger_local ON CLUSTER 'blue' MODIFY TTL toDateTime(started) + toIntervalDay(365);

ALTER TABLE llm_request_energy_local ON CLUSTER 'blue' MODIFY TTL toDateTime(finished) + toIntervalDay(90);

ALTER TABLE llm_requests_1m_local ON CLUSTER 'blue' MODIFY TTL minute + toIntervalDay(400);

ALTER TABLE llm_gateway_calls_1m_local ON CLUSTER 'blue' MODIFY TTL minute + toIntervalDay(400);

ALTER TABLE llm_producers_local ON CLUSTER 'blue' MODIFY TTL toDateTime(time) + toIntervalDay(365);

ALTER TABLE gpu_devices_local ON CLUSTER 'blue' MODIFY TTL toDateTime(time) + toIntervalDay(365);

ALTER TABLE gpu_processes_local ON CLUSTER 'blue' MODIFY TTL toDateTime(time) + toIntervalDay(30);

ALTER TABLE llm_step_energy_local ON CLUSTER 'blue' MODIFY TTL toDateTime(started) + toIntervalDay(90);

ALTER TABLE otel_traces_local ON CLUSTER 'blue' REMOVE TTL;

