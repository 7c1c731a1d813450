-- Who read the device of an amount.
ALTER TABLE llm_request_energy ADD COLUMN IF NOT EXISTS source LowCardinality(String) CODEC(ZSTD(1))
