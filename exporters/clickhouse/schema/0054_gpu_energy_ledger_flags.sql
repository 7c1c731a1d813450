-- Why a line of the ledger is incomplete. Lines from before say only that they are.
ALTER TABLE gpu_energy_ledger ADD COLUMN IF NOT EXISTS flags Array(String) CODEC(ZSTD(1))
