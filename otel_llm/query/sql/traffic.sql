-- Calls by model and tenant over days, most calls first. Whole minutes, by when calls ended.
-- The first number of quantilesDD is its accuracy, then the levels.
WITH arrayMap(q -> if(isNaN(q), NULL, q / 1e6),
        quantilesDDMerge(0.01, 0.5, 0.9, 0.95, 0.99)(c.ttft_us)) AS ttft,
    arrayMap(q -> if(isNaN(q), NULL, q / 1e6),
        quantilesDDMerge(0.01, 0.5, 0.9, 0.95, 0.99)(c.e2e_us)) AS e2e
SELECT
    if({every_ns:Int64} = 0, {since_ns:Int64},
        intDiv(toInt64(toUnixTimestamp(minute)) * 1000000000, {every_ns:Int64})
            * {every_ns:Int64}) AS start_ns,
    model, tenant, sum(c.calls) AS calls,
    sumIf(c.calls, outcome = 'finished') AS finished,
    sumIf(c.calls, outcome IN ('failed', 'gateway_died')) AS failed,
    sumIf(c.calls, outcome = 'shed') AS shed,
    sumIf(c.calls, outcome = 'cancelled') AS cancelled,
    sum(c.attempts) AS attempts,
    sum(c.prompt_tokens) AS prompt_tokens,
    sum(c.cached_tokens) AS cached_tokens,
    sum(c.output_tokens) AS output_tokens,
    ttft[1] AS ttft_p50_s, ttft[3] AS ttft_p95_s, e2e[1] AS e2e_p50_s, e2e[3] AS e2e_p95_s
FROM llm_gateway_calls_1m AS c
WHERE minute >= toStartOfMinute(fromUnixTimestamp64Nano({since_ns:Int64}))
    AND minute < fromUnixTimestamp64Nano({until_ns:Int64})
    AND ({tenant:String} = '' OR tenant = {tenant:String})
    AND ({model:String} = '' OR model = {model:String})
GROUP BY start_ns, model, tenant
ORDER BY start_ns DESC, calls DESC, model, tenant
LIMIT {limit:UInt32}
