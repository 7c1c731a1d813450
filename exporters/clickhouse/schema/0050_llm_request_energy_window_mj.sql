-- What was charged in each of them.
ALTER TABLE llm_request_energy ADD COLUMN IF NOT EXISTS window_mj Array(UInt64) CODEC(T64, ZSTD(1))
