-- One row per sample of a device.
-- shard by cityHash64(device)
-- keep 30 days by toDateTime(time)
CREATE TABLE IF NOT EXISTS gpu_power
(
    host LowCardinality(String) CODEC(ZSTD(1)),
    device LowCardinality(String) CODEC(ZSTD(1)),
    mig LowCardinality(String) CODEC(ZSTD(1)),
    kind LowCardinality(String) CODEC(ZSTD(1)),
    name LowCardinality(String) CODEC(ZSTD(1)),
    source LowCardinality(String) CODEC(ZSTD(1)),
    time DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    energy_mj Nullable(UInt64) CODEC(Delta, ZSTD(1)),
    power_mw Nullable(UInt32) CODEC(T64, ZSTD(1)),
    power_average_mw Nullable(UInt32) CODEC(T64, ZSTD(1)),
    gpu_utilization Nullable(UInt8) CODEC(ZSTD(1)),
    memory_utilization Nullable(UInt8) CODEC(ZSTD(1)),
    memory_used_bytes Nullable(UInt64) CODEC(ZSTD(1)),
    sm_clock_mhz Nullable(UInt16) CODEC(ZSTD(1)),
    memory_clock_mhz Nullable(UInt16) CODEC(ZSTD(1)),
    temperature_c Nullable(Int16) CODEC(ZSTD(1)),
    throttle_reasons Nullable(UInt64) CODEC(ZSTD(1)),
    pcie_rx_bytes_s Nullable(UInt64) CODEC(T64, ZSTD(1)),
    pcie_tx_bytes_s Nullable(UInt64) CODEC(T64, ZSTD(1)),
    nvlink_rx_bytes_s Nullable(UInt64) CODEC(T64, ZSTD(1)),
    nvlink_tx_bytes_s Nullable(UInt64) CODEC(T64, ZSTD(1)),
    ecc_corrected Nullable(UInt64) CODEC(ZSTD(1)),
    ecc_uncorrected Nullable(UInt64) CODEC(ZSTD(1)),
    remapped_rows_corrected Nullable(UInt32) CODEC(ZSTD(1)),
    remapped_rows_uncorrected Nullable(UInt32) CODEC(ZSTD(1)),
    remap_pending Nullable(Bool) CODEC(ZSTD(1)),
    sm_active Nullable(Float32) CODEC(ZSTD(1)),
    sm_occupancy Nullable(Float32) CODEC(ZSTD(1)),
    tensor_active Nullable(Float32) CODEC(ZSTD(1)),
    dram_active Nullable(Float32) CODEC(ZSTD(1)),
    read_ns UInt32 CODEC(T64, ZSTD(1)),
    boot_id LowCardinality(String) CODEC(ZSTD(1)),
    clock_offset_ns Int64 CODEC(ZSTD(1)),
    clock_error_ns UInt32 CODEC(ZSTD(1)),
    INDEX idx_time time TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toDate(time)
ORDER BY (device, mig, time)
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1,
    non_replicated_deduplication_window = 10000
