-- The ledger's lines of GPUs whose window ended in the time, in stretches. Two agents that read one
-- device each write a line of the same window, in containers under different host names.
SELECT
    intDiv(toUnixTimestamp64Nano(ended), {every_ns:Int64}) * {every_ns:Int64} AS start_ns,
    count() AS windows,
    countIf(l.incomplete) AS incomplete,
    count() - uniqExact(device, mig, boot_id, toUnixTimestamp64Nano(ended) - clock_offset_ns)
        AS doubled,
    uniqExact(device, mig) AS devices,
    sum(l.delta_mj) AS delta_mj,
    sum(l.attributed_mj) AS attributed_mj,
    sum(l.idle_mj) AS idle_mj,
    sum(l.unattributed_mj) AS unattributed_mj,
    sum(toUnixTimestamp64Nano(ended) - toUnixTimestamp64Nano(started)) AS device_ns,
    arraySort(groupUniqArray(l.method)) AS methods,
    arraySort(groupUniqArray(l.source)) AS sources,
    arraySort(groupUniqArrayArray(l.flags)) AS flags
FROM gpu_energy_ledger AS l
WHERE ended >= fromUnixTimestamp64Nano({since_ns:Int64})
    AND ended < fromUnixTimestamp64Nano({until_ns:Int64})
    AND l.kind IN ('', 'gpu')
GROUP BY start_ns
ORDER BY start_ns
