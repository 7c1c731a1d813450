-- What requests took by model and tenant over days. Whole minutes, by when requests ended.
-- The first number of quantilesDD is its accuracy, then the levels.
WITH arrayMap(q -> if(isNaN(q), NULL, q / 1e6),
        quantilesDDMerge(0.01, 0.5, 0.9, 0.95, 0.99)(r.ttft_us)) AS ttft,
    arrayMap(q -> if(isNaN(q), NULL, q / 1e6),
        quantilesDDMerge(0.01, 0.5, 0.9, 0.95, 0.99)(r.tpot_us)) AS tpot
SELECT
    if({every_ns:Int64} = 0, {since_ns:Int64},
        intDiv(toInt64(toUnixTimestamp(minute)) * 1000000000, {every_ns:Int64})
            * {every_ns:Int64}) AS start_ns,
    model, tenant, sum(r.requests) AS requests,
    sum(r.incomplete) AS incomplete,
    sum(r.prompt_tokens) AS prompt_tokens,
    sum(r.cached_tokens) AS cached_tokens,
    sum(r.output_tokens) AS output_tokens,
    sum(r.recomputed_tokens) AS recomputed_tokens,
    sum(r.preemptions) AS preemptions,
    sum(r.energy_mj) / 1000 AS energy_j,
    ttft[1] AS ttft_p50_s, ttft[3] AS ttft_p95_s, tpot[1] AS tpot_p50_s, tpot[3] AS tpot_p95_s
FROM llm_requests_1m AS r
WHERE minute >= toStartOfMinute(fromUnixTimestamp64Nano({since_ns:Int64}))
    AND minute < fromUnixTimestamp64Nano({until_ns:Int64})
    AND ({service:String} = '' OR service = {service:String})
    AND ({tenant:String} = '' OR tenant = {tenant:String})
    AND ({model:String} = '' OR model = {model:String})
GROUP BY start_ns, model, tenant
ORDER BY start_ns DESC, prompt_tokens + output_tokens DESC, model, tenant
LIMIT {limit:UInt32}
