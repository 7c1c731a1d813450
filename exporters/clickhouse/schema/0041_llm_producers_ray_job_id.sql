-- Ray's job.
ALTER TABLE llm_producers ADD COLUMN IF NOT EXISTS ray_job_id String CODEC(ZSTD(1))
