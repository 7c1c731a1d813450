-- Device time of a request, for prices by the hour.
ALTER TABLE llm_request_energy ADD COLUMN IF NOT EXISTS device_ns UInt64 CODEC(T64, ZSTD(1))
