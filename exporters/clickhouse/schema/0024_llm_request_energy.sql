-- Energy charged to a request on a device, in amounts that add up.
-- shard by cityHash64(trace_id)
-- keep 90 days by toDateTime(finished)
CREATE TABLE IF NOT EXISTS llm_request_energy
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
ENGINE = MergeTree
PARTITION BY toDate(finished)
ORDER BY (toStartOfHour(finished), tenant, model, finished)
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1,
    non_replicated_deduplication_window = 10000
