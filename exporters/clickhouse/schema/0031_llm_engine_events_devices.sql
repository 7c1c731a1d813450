-- Which devices an engine runs on.
ALTER TABLE llm_engine_events ADD COLUMN IF NOT EXISTS devices Array(String) CODEC(ZSTD(1))
