-- Energy of a step on a device whose engine is on another node, in amounts that add up.
-- shard by cityHash64(instance_id)
-- keep 90 days by toDateTime(started)
CREATE TABLE IF NOT EXISTS llm_step_energy
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
ENGINE = MergeTree
PARTITION BY toDate(started)
ORDER BY (instance_id, dp_rank, step_seq)
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1,
    non_replicated_deduplication_window = 10000
