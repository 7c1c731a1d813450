-- Lines of the ledger whose window ended in the time, each beside what rows of requests, and of
-- steps of engines on other nodes, say they were charged in it. Rows of requests and steps that ended
-- or began up to ten minutes before may be charged in it.
SELECT
    toUnixTimestamp64Nano(l.started) AS started_ns,
    toUnixTimestamp64Nano(l.ended) AS ended_ns,
    toString(l.host) AS host, if(l.mig = '', toString(l.device), toString(l.mig)) AS device,
    if(l.kind = '', 'gpu', toString(l.kind)) AS kind,
    l.delta_mj AS delta_mj, arrayStringConcat(l.flags, ' ') AS flags,
    l.attributed_mj AS attributed_mj, l.idle_mj AS idle_mj,
    l.unattributed_mj AS unattributed_mj, c.mj AS charged_mj,
    toInt64(l.attributed_mj) - toInt64(c.mj) AS residual_mj, l.error_mj AS error_mj,
    toString(l.method) AS method, toString(l.sharing) AS sharing, toString(l.busy) AS busy,
    toString(l.source) AS source, l.incomplete AS incomplete
FROM gpu_energy_ledger AS l
GLOBAL LEFT JOIN (
    SELECT device, boot_id, part.1 AS ended_ns, sum(part.2) AS mj
    FROM (
        SELECT toString(device) AS device, toString(boot_id) AS boot_id, window_ended_ns, window_mj
        FROM llm_request_energy
        WHERE finished >= fromUnixTimestamp64Nano({since_ns:Int64} - 600000000000)
        UNION ALL
        SELECT toString(device) AS device, toString(boot_id) AS boot_id, window_ended_ns, window_mj
        FROM llm_step_energy
        WHERE started >= fromUnixTimestamp64Nano({since_ns:Int64} - 600000000000)
    )
    ARRAY JOIN arrayZip(window_ended_ns, window_mj) AS part
    GROUP BY device, boot_id, ended_ns
) AS c ON c.device = if(l.mig = '', toString(l.device), toString(l.mig))
    AND c.boot_id = l.boot_id
    AND c.ended_ns = toUInt64(toUnixTimestamp64Nano(l.ended) - l.clock_offset_ns)
WHERE l.ended >= fromUnixTimestamp64Nano({since_ns:Int64})
    AND l.ended < fromUnixTimestamp64Nano({until_ns:Int64})
ORDER BY l.ended DESC, host, device
LIMIT {limit:UInt32}
