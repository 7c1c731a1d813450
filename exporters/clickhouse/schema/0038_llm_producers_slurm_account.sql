-- Account of Slurm's job.
ALTER TABLE llm_producers ADD COLUMN IF NOT EXISTS slurm_account LowCardinality(String) CODEC(ZSTD(1))
