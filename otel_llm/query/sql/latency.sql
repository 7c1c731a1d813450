-- How long callers waited, by model and tenant.
WITH arrayMap(q -> if(isNaN(q), NULL, q / 1e9), quantilesBFloat16If(0.5, 0.95, 0.99)(
        assumeNotNull(toUnixTimestamp64Nano(first_content)) - toUnixTimestamp64Nano(arrival),
        first_content IS NOT NULL)) AS ttft,
    arrayMap(q -> if(isNaN(q), NULL, q / 1e9), quantilesBFloat16If(0.5, 0.95, 0.99)(
        (assumeNotNull(toUnixTimestamp64Nano(last_content))
            - assumeNotNull(toUnixTimestamp64Nano(first_content))) / (chunks - 1),
        first_content IS NOT NULL AND last_content IS NOT NULL AND chunks > 1)) AS gap,
    arrayMap(q -> if(isNaN(q), NULL, q / 1e9), quantilesBFloat16If(0.5, 0.95, 0.99)(
        toUnixTimestamp64Nano(finished) - toUnixTimestamp64Nano(arrival),
        outcome = 'finished')) AS e2e
SELECT
    if({every_ns:Int64} = 0, {since_ns:Int64},
        intDiv(toUnixTimestamp64Nano(arrival), {every_ns:Int64}) * {every_ns:Int64}) AS start_ns,
    model, tenant, count() AS calls,
    ttft[1] AS ttft_p50_s, ttft[2] AS ttft_p95_s, ttft[3] AS ttft_p99_s,
    gap[1] AS gap_p50_s, gap[2] AS gap_p95_s, gap[3] AS gap_p99_s,
    e2e[1] AS e2e_p50_s, e2e[2] AS e2e_p95_s, e2e[3] AS e2e_p99_s
FROM llm_gateway_calls
WHERE arrival >= fromUnixTimestamp64Nano({since_ns:Int64})
    AND arrival < fromUnixTimestamp64Nano({until_ns:Int64})
    AND ({tenant:String} = '' OR tenant = {tenant:String})
    AND ({model:String} = '' OR model = {model:String})
GROUP BY start_ns, model, tenant
ORDER BY start_ns DESC, calls DESC, model, tenant
LIMIT {limit:UInt32}
