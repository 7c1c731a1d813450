-- Whether a step's busy time is only a bound.
ALTER TABLE llm_step_kernels ADD COLUMN IF NOT EXISTS busy_bound Bool CODEC(ZSTD(1))
