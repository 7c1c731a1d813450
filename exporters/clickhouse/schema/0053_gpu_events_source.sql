-- Who told of the event: a recording says that it is one.
ALTER TABLE gpu_events ADD COLUMN IF NOT EXISTS source LowCardinality(String) CODEC(ZSTD(1))
