-- Whether the account of energy closes: the ledger of GPUs beside rows of requests.
SELECT
    (SELECT count() FROM gpu_energy_ledger WHERE kind IN ('', 'gpu')) AS energy_windows,
    (SELECT sum(delta_mj) FROM gpu_energy_ledger WHERE kind IN ('', 'gpu')) / 1e3 AS energy_j,
    (SELECT sum(attributed_mj) FROM gpu_energy_ledger) / 1e3 AS energy_attributed_j,
    (SELECT sum(idle_mj) FROM gpu_energy_ledger) / 1e3 AS energy_idle_j,
    (SELECT sum(unattributed_mj) FROM gpu_energy_ledger WHERE kind IN ('', 'gpu')) / 1e3
        AS energy_unattributed_j,
    (SELECT toInt64(sum(attributed_mj)) FROM gpu_energy_ledger)
        - (SELECT toInt64(sum(energy_mj)) FROM llm_request_energy) AS energy_residual_mj
