-- What the API server tells where it is another process, and how every scheduled token is accounted for.
ALTER TABLE llm_requests
    ADD COLUMN IF NOT EXISTS rejected_tokens UInt32 CODEC(ZSTD(1)) AFTER recomputed_tokens,
    ADD COLUMN IF NOT EXISTS discarded_tokens UInt32 CODEC(ZSTD(1)) AFTER rejected_tokens,
    ADD COLUMN IF NOT EXISTS unscheduled_tokens UInt32 CODEC(ZSTD(1)) AFTER discarded_tokens,
    ADD COLUMN IF NOT EXISTS delivered_tokens Nullable(UInt32) CODEC(ZSTD(1)) AFTER unscheduled_tokens,
    ADD COLUMN IF NOT EXISTS lora LowCardinality(String) CODEC(ZSTD(1)) AFTER sample_count
