-- Job and task of an array of Slurm's.
ALTER TABLE llm_producers ADD COLUMN IF NOT EXISTS slurm_array_task String CODEC(ZSTD(1))
