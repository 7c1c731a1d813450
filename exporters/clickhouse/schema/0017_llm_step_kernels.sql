-- One row per step and rank: its device's time, by kernel class.
-- shard by cityHash64(instance_id)
-- keep 30 days by toDateTime(start)
CREATE TABLE IF NOT EXISTS llm_step_kernels
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
ENGINE = MergeTree
PARTITION BY toDate(start)
ORDER BY (instance_id, dp_rank, step_seq, rank)
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1,
    non_replicated_deduplication_window = 10000
