-- Slurm's cluster.
ALTER TABLE llm_producers ADD COLUMN IF NOT EXISTS slurm_cluster LowCardinality(String) CODEC(ZSTD(1))
