-- What devices and MIG instances there are, as last told, with the processes seen on each.
SELECT
    d.host AS host, toString(d.device) AS device, toString(d.mig) AS mig,
    argMax(d.name, d.time) AS name,
    toString(argMax(d.source, d.time)) AS source, argMax(d.mig_profile, d.time) AS mig_profile,
    argMax(d.memory_bytes, d.time) AS memory_bytes,
    argMax(d.power_limit_mw, d.time) / 1000 AS power_limit_w,
    length(argMax(d.links, d.time)) AS nvlinks, argMax(d.driver_version, d.time) AS driver,
    any(p.processes) AS processes, any(p.held_bytes) AS held_bytes
FROM gpu_devices AS d
GLOBAL LEFT JOIN (
    SELECT host, device, mig, uniqExact(pid) AS processes, max(memory_bytes) AS held_bytes
    FROM gpu_processes
    WHERE time >= fromUnixTimestamp64Nano({since_ns:Int64})
        AND time < fromUnixTimestamp64Nano({until_ns:Int64})
    GROUP BY host, device, mig
) AS p ON p.host = d.host AND p.device = d.device AND p.mig = d.mig
WHERE d.time >= fromUnixTimestamp64Nano({since_ns:Int64} - 172800000000000)
    AND d.time < fromUnixTimestamp64Nano({until_ns:Int64})
GROUP BY host, device, mig
ORDER BY host, device, mig
LIMIT {limit:UInt32}
