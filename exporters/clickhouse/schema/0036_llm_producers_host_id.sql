-- The machine's id.
ALTER TABLE llm_producers ADD COLUMN IF NOT EXISTS host_id LowCardinality(String) CODEC(ZSTD(1))
