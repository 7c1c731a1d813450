-- What contradicts itself in the account of energy. Engines without a device owe nothing.
SELECT what, wrong FROM
(
    SELECT 'lines of gpu_energy_ledger that do not add up' AS what,
        countIf(delta_mj != attributed_mj + idle_mj + unattributed_mj) AS wrong FROM gpu_energy_ledger
    UNION ALL
    SELECT 'windows of gpu_energy_ledger that overlap', countIf(begun < before) FROM
    (
        -- By the monotonic clock: two anchors turn one moment into two, some nanoseconds apart.
        SELECT
            toUnixTimestamp64Nano(started) - clock_offset_ns AS begun,
            lagInFrame(toUnixTimestamp64Nano(ended) - clock_offset_ns, 1, 0)
                OVER (PARTITION BY host, boot_id, device, mig ORDER BY started
                    ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS before
        FROM gpu_energy_ledger
    )
    UNION ALL
    SELECT 'mJ attributed and in no row of llm_request_energy', abs(
        (SELECT toInt64(sum(attributed_mj)) FROM gpu_energy_ledger)
        - (SELECT toInt64(sum(energy_mj)) FROM llm_request_energy))
    UNION ALL
    SELECT 'mJ of llm_request_energy missing in llm_requests_1m', abs(
        (SELECT toInt64(sum(energy_mj)) FROM llm_request_energy)
        - (SELECT toInt64(sum(energy_mj)) FROM llm_requests_1m))
    UNION ALL
    SELECT 'amounts of requests that have no row', countIf((instance_id, request_index) NOT IN
        (SELECT instance_id, request_index FROM llm_requests)) FROM llm_request_energy
    UNION ALL
    SELECT 'requests with steps on a metered device and no energy', count() FROM llm_requests
    WHERE scheduled IS NOT NULL
        AND instance_id IN (SELECT instance_id FROM llm_engine_events WHERE notEmpty(devices))
        AND finished > (SELECT min(started) FROM gpu_energy_ledger)
        AND (instance_id, request_index) NOT IN
            (SELECT instance_id, request_index FROM llm_request_energy)
        AND (SELECT count() FROM gpu_energy_ledger) > 0
)
WHERE wrong != 0
