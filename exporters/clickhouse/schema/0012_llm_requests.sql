-- One row per engine request.
-- shard by cityHash64(trace_id)
-- keep 90 days by toDateTime(arrival)
CREATE TABLE IF NOT EXISTS llm_requests
(
    instance_id String CODEC(ZSTD(1)),
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
    arrival DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    queued Nullable(DateTime64(9, 'UTC')) CODEC(ZSTD(1)),
    scheduled Nullable(DateTime64(9, 'UTC')) CODEC(ZSTD(1)),
    first_token Nullable(DateTime64(9, 'UTC')) CODEC(ZSTD(1)),
    first_output Nullable(DateTime64(9, 'UTC')) CODEC(ZSTD(1)),
    last_token Nullable(DateTime64(9, 'UTC')) CODEC(ZSTD(1)),
    finished DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    outcome LowCardinality(String) CODEC(ZSTD(1)),
    finish_reason LowCardinality(String) CODEC(ZSTD(1)),
    error_type LowCardinality(String) CODEC(ZSTD(1)),
    prompt_tokens UInt32 CODEC(ZSTD(1)),
    cached_tokens UInt32 CODEC(ZSTD(1)),
    output_tokens UInt32 CODEC(ZSTD(1)),
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
    clock_offset_ns Int64 CODEC(Delta, ZSTD(1)),
    clock_error_ns UInt32 CODEC(ZSTD(1)),
    inserted DateTime64(6, 'UTC') DEFAULT now64(6) CODEC(Delta, ZSTD(1)),
    INDEX idx_trace_id trace_id TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX idx_request_id request_id TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX idx_api_request_id api_request_id TYPE bloom_filter(0.001) GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toDate(arrival)
ORDER BY (tenant, model, toStartOfFiveMinutes(arrival), arrival)
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1,
    non_replicated_deduplication_window = 10000
