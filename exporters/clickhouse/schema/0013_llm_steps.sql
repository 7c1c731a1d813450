-- One row per engine step, its batch as arrays.
-- shard by cityHash64(instance_id)
-- keep 30 days by toDateTime(scheduled)
CREATE TABLE IF NOT EXISTS llm_steps
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
ENGINE = MergeTree
PARTITION BY toDate(scheduled)
ORDER BY (instance_id, dp_rank, seq)
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1,
    non_replicated_deduplication_window = 10000
