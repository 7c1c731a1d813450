-- Where the busy time of steps in a line of the ledger comes from.
ALTER TABLE gpu_energy_ledger ADD COLUMN IF NOT EXISTS busy LowCardinality(String) CODEC(ZSTD(1))
