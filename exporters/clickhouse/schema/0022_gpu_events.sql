-- What befell a device.
-- shard by cityHash64(device)
-- keep 365 days by toDateTime(time)
CREATE TABLE IF NOT EXISTS gpu_events
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
ENGINE = MergeTree
PARTITION BY toDate(time)
ORDER BY (device, time)
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1,
    non_replicated_deduplication_window = 10000
