-- Kernels by the time they took, most first.
SELECT
    name, count() AS launches,
    sum(duration_ns) / 1e9 AS total_s,
    total_s / sum(total_s) OVER () AS time_ratio,
    total_s / launches AS mean_s,
    max(duration_ns) / 1e9 AS longest_s
FROM llm_kernels
WHERE start >= fromUnixTimestamp64Nano({since_ns:Int64})
    AND start < fromUnixTimestamp64Nano({until_ns:Int64})
    AND ({service:String} = '' OR service = {service:String})
GROUP BY name
ORDER BY total_s DESC, name
LIMIT {limit:UInt32}
