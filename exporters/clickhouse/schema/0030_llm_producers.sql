-- Who writes facts, and where it runs: one row per process.
-- shard by cityHash64(instance_id)
-- keep 365 days by toDateTime(time)
CREATE TABLE IF NOT EXISTS llm_producers
(
    instance_id String CODEC(ZSTD(3)),
    service LowCardinality(String) CODEC(ZSTD(1)),
    host LowCardinality(String) CODEC(ZSTD(1)),
    kind LowCardinality(String) CODEC(ZSTD(1)),
    engine LowCardinality(String) CODEC(ZSTD(1)),
    engine_version LowCardinality(String) CODEC(ZSTD(1)),
    model LowCardinality(String) CODEC(ZSTD(1)),
    dp_rank UInt16 CODEC(ZSTD(1)),
    time DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    host_arch LowCardinality(String) CODEC(ZSTD(1)),
    container_id String CODEC(ZSTD(1)),
    container_runtime LowCardinality(String) CODEC(ZSTD(1)),
    k8s_pod String CODEC(ZSTD(1)),
    k8s_pod_uid String CODEC(ZSTD(1)),
    k8s_namespace LowCardinality(String) CODEC(ZSTD(1)),
    k8s_node LowCardinality(String) CODEC(ZSTD(1)),
    k8s_container LowCardinality(String) CODEC(ZSTD(1)),
    k8s_owner_kind LowCardinality(String) CODEC(ZSTD(1)),
    k8s_owner LowCardinality(String) CODEC(ZSTD(1)),
    kueue_queue LowCardinality(String) CODEC(ZSTD(1)),
    volcano_job LowCardinality(String) CODEC(ZSTD(1)),
    volcano_queue LowCardinality(String) CODEC(ZSTD(1)),
    slurm_job_id String CODEC(ZSTD(1)),
    slurm_step_id String CODEC(ZSTD(1)),
    slurm_job_name LowCardinality(String) CODEC(ZSTD(1)),
    slurm_partition LowCardinality(String) CODEC(ZSTD(1)),
    slurm_node LowCardinality(String) CODEC(ZSTD(1)),
    cloud_provider LowCardinality(String) CODEC(ZSTD(1)),
    cloud_region LowCardinality(String) CODEC(ZSTD(1)),
    cloud_zone LowCardinality(String) CODEC(ZSTD(1)),
    cloud_instance_type LowCardinality(String) CODEC(ZSTD(1)),
    cloud_spot LowCardinality(String) CODEC(ZSTD(1)),
    model_version LowCardinality(String) CODEC(ZSTD(1)),
    driver_version LowCardinality(String) CODEC(ZSTD(1)),
    cuda_version LowCardinality(String) CODEC(ZSTD(1)),
    boot_id LowCardinality(String) CODEC(ZSTD(1)),
    clock_offset_ns Int64 CODEC(ZSTD(1)),
    clock_error_ns UInt32 CODEC(ZSTD(1))
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(time)
ORDER BY instance_id
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1,
    non_replicated_deduplication_window = 10000
