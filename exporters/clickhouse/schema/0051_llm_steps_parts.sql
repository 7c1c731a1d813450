-- What part of a step is each member's, where the energy of some of its ranks is metered elsewhere.
ALTER TABLE llm_steps ADD COLUMN IF NOT EXISTS parts Array(UInt32) CODEC(ZSTD(3))
