-- Who has work on a device, one row per process and reading.
-- shard by cityHash64(device)
-- keep 30 days by toDateTime(time)
CREATE TABLE IF NOT EXISTS gpu_processes
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
ENGINE = MergeTree
PARTITION BY toDate(time)
ORDER BY (device, mig, pid, time)
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1,
    non_replicated_deduplication_window = 10000
