-- The same requests seen by callers and by engines: TTFT from both ends, and what lies between.
SELECT
    if({every_ns:Int64} = 0, {since_ns:Int64},
        intDiv(came, {every_ns:Int64}) * {every_ns:Int64}) AS start_ns,
    count() AS calls,
    quantile(0.5)(caller_s) AS caller_p50_s, quantile(0.95)(caller_s) AS caller_p95_s,
    quantile(0.5)(engine_s) AS engine_p50_s, quantile(0.95)(engine_s) AS engine_p95_s,
    quantile(0.5)(caller_s - engine_s) AS between_p50_s,
    quantile(0.95)(caller_s - engine_s) AS between_p95_s
FROM (
    SELECT c.came AS came, c.caller_s AS caller_s, r.engine_s AS engine_s
    FROM (
        SELECT trace_id, toUnixTimestamp64Nano(arrival) AS came,
            (assumeNotNull(toUnixTimestamp64Nano(first_content)) - came) / 1e9 AS caller_s
        FROM llm_gateway_calls
        WHERE arrival >= fromUnixTimestamp64Nano({since_ns:Int64})
            AND arrival < fromUnixTimestamp64Nano({until_ns:Int64})
            AND first_content IS NOT NULL
            AND ({tenant:String} = '' OR tenant = {tenant:String})
            AND ({model:String} = '' OR model = {model:String})
    ) AS c
    GLOBAL INNER JOIN (
        SELECT trace_id,
            min((assumeNotNull(toUnixTimestamp64Nano(first_output))
                - toUnixTimestamp64Nano(arrival)) / 1e9) AS engine_s
        FROM llm_requests
        WHERE arrival >= fromUnixTimestamp64Nano({since_ns:Int64})
            AND arrival < fromUnixTimestamp64Nano({until_ns:Int64} + 3600000000000)
            AND first_output IS NOT NULL
        GROUP BY trace_id
    ) AS r ON r.trace_id = c.trace_id
)
GROUP BY start_ns
ORDER BY start_ns DESC
LIMIT {limit:UInt32}
