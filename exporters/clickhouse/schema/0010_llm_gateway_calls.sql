-- One row per API call at the gateway.
-- shard by cityHash64(trace_id)
-- keep 90 days by toDateTime(arrival)
CREATE TABLE IF NOT EXISTS llm_gateway_calls
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
ENGINE = MergeTree
PARTITION BY toDate(arrival)
ORDER BY (toStartOfHour(arrival), tenant, model, arrival)
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1,
    non_replicated_deduplication_window = 10000
