-- Speculative tokens per member of a step, and how the step ran on CUDA graphs.
ALTER TABLE llm_steps
    ADD COLUMN IF NOT EXISTS drafts Array(UInt32) CODEC(ZSTD(1)) AFTER emitted,
    ADD COLUMN IF NOT EXISTS accepted Array(UInt32) CODEC(ZSTD(1)) AFTER drafts,
    ADD COLUMN IF NOT EXISTS cudagraph_mode LowCardinality(String) CODEC(ZSTD(1)) AFTER accepted
