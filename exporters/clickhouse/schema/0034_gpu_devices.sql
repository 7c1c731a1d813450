-- What devices are and where: a row when one is first read, when it changes, and once a day.
-- shard by cityHash64(device)
-- keep 365 days by toDateTime(time)
CREATE TABLE IF NOT EXISTS gpu_devices
(
    host LowCardinality(String) CODEC(ZSTD(1)),
    device LowCardinality(String) CODEC(ZSTD(1)),
    mig LowCardinality(String) CODEC(ZSTD(1)),
    time DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    kind LowCardinality(String) CODEC(ZSTD(1)),
    name LowCardinality(String) CODEC(ZSTD(1)),
    source LowCardinality(String) CODEC(ZSTD(1)),
    device_index UInt16 CODEC(ZSTD(1)),
    mig_profile LowCardinality(String) CODEC(ZSTD(1)),
    pci LowCardinality(String) CODEC(ZSTD(1)),
    memory_bytes Nullable(UInt64) CODEC(ZSTD(1)),
    power_limit_mw Nullable(UInt32) CODEC(ZSTD(1)),
    links Array(String) CODEC(ZSTD(1)),
    driver_version LowCardinality(String) CODEC(ZSTD(1)),
    cuda_version LowCardinality(String) CODEC(ZSTD(1)),
    host_id LowCardinality(String) CODEC(ZSTD(1)),
    host_arch LowCardinality(String) CODEC(ZSTD(1)),
    k8s_node LowCardinality(String) CODEC(ZSTD(1)),
    slurm_node LowCardinality(String) CODEC(ZSTD(1)),
    cloud_provider LowCardinality(String) CODEC(ZSTD(1)),
    cloud_region LowCardinality(String) CODEC(ZSTD(1)),
    cloud_zone LowCardinality(String) CODEC(ZSTD(1)),
    cloud_instance_type LowCardinality(String) CODEC(ZSTD(1)),
    cloud_spot LowCardinality(String) CODEC(ZSTD(1)),
    boot_id LowCardinality(String) CODEC(ZSTD(1)),
    clock_offset_ns Int64 CODEC(ZSTD(1)),
    clock_error_ns UInt32 CODEC(ZSTD(1))
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(time)
ORDER BY (device, mig, time)
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1,
    non_replicated_deduplication_window = 10000
