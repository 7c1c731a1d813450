-- How many workers an engine has on devices, on all nodes.
ALTER TABLE llm_engine_events ADD COLUMN IF NOT EXISTS ranks UInt16 CODEC(ZSTD(1))
