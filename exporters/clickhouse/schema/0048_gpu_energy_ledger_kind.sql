-- What kind of device a line of the ledger is of. Lines from before have none, and are of GPUs.
ALTER TABLE gpu_energy_ledger ADD COLUMN IF NOT EXISTS kind LowCardinality(String) CODEC(ZSTD(1))
