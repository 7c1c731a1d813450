-- Where the busy time of steps in an amount comes from.
ALTER TABLE llm_request_energy ADD COLUMN IF NOT EXISTS busy LowCardinality(String) CODEC(ZSTD(1))
