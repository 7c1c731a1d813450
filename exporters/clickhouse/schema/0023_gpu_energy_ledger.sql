-- The energy of a device in a window, shared out.
-- shard by cityHash64(device)
-- keep 365 days by toDateTime(started)
CREATE TABLE IF NOT EXISTS gpu_energy_ledger
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
ENGINE = MergeTree
PARTITION BY toDate(started)
ORDER BY (device, mig, started)
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1,
    non_replicated_deduplication_window = 10000
