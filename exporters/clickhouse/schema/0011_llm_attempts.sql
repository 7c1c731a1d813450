-- One row per try of a call at an upstream.
-- shard by cityHash64(trace_id)
-- keep 90 days by toDateTime(started)
CREATE TABLE IF NOT EXISTS llm_attempts
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
ENGINE = MergeTree
PARTITION BY toDate(started)
ORDER BY (toStartOfHour(started), upstream, started)
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1,
    non_replicated_deduplication_window = 10000
