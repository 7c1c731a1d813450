-- Where the devices' joules went, by the end of the ledger's windows. The three parts add up.
-- Windows that end in a stretch which the time cuts began before it: their power is over their time.
WITH
    if({every_ns:Int64} = 0, {until_ns:Int64}, start_ns + {every_ns:Int64}) AS end_ns,
    (least({until_ns:Int64}, end_ns) - greatest({since_ns:Int64}, start_ns)) / 1e9 AS inside_s,
    (max(toUnixTimestamp64Nano(ended)) - min(toUnixTimestamp64Nano(started))) / 1e9 AS covered_s,
    if(inside_s * 1e9 < {every_ns:Int64}, greatest(inside_s, covered_s), inside_s) AS seconds
SELECT
    if({every_ns:Int64} = 0, {since_ns:Int64},
        intDiv(toUnixTimestamp64Nano(ended), {every_ns:Int64}) * {every_ns:Int64}) AS start_ns,
    sum(l.delta_mj) / 1000 AS drawn_j,
    sum(l.attributed_mj) / 1000 AS attributed_j,
    sum(l.idle_mj) / 1000 AS idle_j,
    sum(l.unattributed_mj) / 1000 AS unattributed_j,
    sum(l.error_mj) / 1000 AS error_j,
    attributed_j / seconds AS attributed_w, idle_j / seconds AS idle_w,
    unattributed_j / seconds AS unattributed_w,
    idle_j / nullIf(drawn_j, 0) AS idle_ratio,
    drawn_j / 3600000 AS kwh
FROM gpu_energy_ledger AS l
WHERE ended >= fromUnixTimestamp64Nano({since_ns:Int64})
    AND ended < fromUnixTimestamp64Nano({until_ns:Int64})
    AND l.kind IN ('', 'gpu')
GROUP BY start_ns
ORDER BY start_ns DESC
LIMIT {limit:UInt32}
