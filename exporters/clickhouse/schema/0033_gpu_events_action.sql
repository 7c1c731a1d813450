-- What to do about an event.
ALTER TABLE gpu_events ADD COLUMN IF NOT EXISTS action LowCardinality(String) CODEC(ZSTD(1))
