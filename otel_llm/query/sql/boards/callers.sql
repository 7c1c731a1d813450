-- Calls over time, all together or by one part: how many, how they ended, how long callers waited.
WITH
    if({every_ns:Int64} = 0, {until_ns:Int64}, start_ns + {every_ns:Int64}) AS end_ns,
    (least({until_ns:Int64}, end_ns) - greatest({since_ns:Int64}, start_ns)) / 1e9 AS seconds,
    arrayMap(q -> if(isNaN(q), NULL, q / 1e9), quantilesBFloat16If(0.5, 0.95, 0.99)(
        assumeNotNull(toUnixTimestamp64Nano(first_content)) - toUnixTimestamp64Nano(arrival),
        first_content IS NOT NULL)) AS ttft,
    arrayMap(q -> if(isNaN(q), NULL, q / 1e9), quantilesBFloat16If(0.5, 0.95, 0.99)(
        toUnixTimestamp64Nano(finished) - toUnixTimestamp64Nano(arrival),
        outcome = 'finished')) AS e2e,
    arrayMap(q -> if(isNaN(q), NULL, q / 1e6),
        quantilesBFloat16Array(0.5, 0.95, 0.99)(inter_chunk_us)) AS itl
SELECT
    if({every_ns:Int64} = 0, {since_ns:Int64},
        intDiv(toUnixTimestamp64Nano(arrival), {every_ns:Int64}) * {every_ns:Int64}) AS start_ns,
    multiIf({by:String} = 'model', model, {by:String} = 'tenant', tenant,
        {by:String} = 'outcome', outcome, {by:String} = 'route', route,
        {by:String} = 'status', ifNull(toString(status_code), 'none'), 'all') AS part,
    count() AS calls,
    calls / seconds AS calls_per_s,
    countIf(outcome IN ('failed', 'gateway_died')) AS failed,
    countIf(outcome = 'shed') AS shed,
    failed / calls AS error_ratio,
    shed / calls AS shed_ratio,
    sum(ifNull(output_tokens, 0)) / seconds AS output_tokens_per_s,
    sum(attempts) / calls AS attempts_per_call,
    ttft[1] AS ttft_p50_s, ttft[2] AS ttft_p95_s, ttft[3] AS ttft_p99_s,
    itl[1] AS itl_p50_s, itl[2] AS itl_p95_s, itl[3] AS itl_p99_s,
    e2e[1] AS e2e_p50_s, e2e[2] AS e2e_p95_s, e2e[3] AS e2e_p99_s
FROM llm_gateway_calls
WHERE arrival >= fromUnixTimestamp64Nano({since_ns:Int64})
    AND arrival < fromUnixTimestamp64Nano({until_ns:Int64})
    AND ({tenant:String} = '' OR tenant = {tenant:String})
    AND ({model:String} = '' OR model = {model:String})
GROUP BY start_ns, part
ORDER BY start_ns DESC, calls DESC, part
LIMIT {limit:UInt32}
