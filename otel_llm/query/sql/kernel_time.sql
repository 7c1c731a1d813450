-- Time of kernels by class or name, per engine, most first. Rows of ten seconds add up.
SELECT
    service, engine, source,
    class AS kind, if({by:String} = 'name', name, '') AS kernel,
    sum(kernels) AS launches,
    sum(total_ns) / 1e9 AS total_s,
    total_s / sum(total_s) OVER (PARTITION BY service, engine, source) AS time_ratio,
    total_s / launches AS mean_s,
    min(min_ns) / 1e9 AS shortest_s,
    max(max_ns) / 1e9 AS longest_s
FROM llm_kernels_10s
WHERE time >= fromUnixTimestamp64Nano({since_ns:Int64})
    AND time < fromUnixTimestamp64Nano({until_ns:Int64})
    AND ({service:String} = '' OR service = {service:String})
    AND ({of_class:String} = '' OR class = {of_class:String})
GROUP BY service, engine, source, kind, kernel
ORDER BY service, engine, source, total_s DESC, kernel
LIMIT {limit:UInt32}
