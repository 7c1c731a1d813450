-- Which windows an amount was charged in.
ALTER TABLE llm_request_energy ADD COLUMN IF NOT EXISTS window_ended_ns Array(UInt64) CODEC(Delta, ZSTD(1))
