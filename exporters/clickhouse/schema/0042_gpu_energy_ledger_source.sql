-- Who read the device of a line of the ledger.
ALTER TABLE gpu_energy_ledger ADD COLUMN IF NOT EXISTS source LowCardinality(String) CODEC(ZSTD(1))
