-- Ray's cluster.
ALTER TABLE llm_producers ADD COLUMN IF NOT EXISTS ray_cluster LowCardinality(String) CODEC(ZSTD(1))
