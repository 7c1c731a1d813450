-- How many calls kept to an objective, by model and tenant, least attainment first.
-- A call that its caller gave up or asked wrongly counts only if it had missed the objective before.
WITH
    if({every_ns:Int64} = 0, {until_ns:Int64}, start_ns + {every_ns:Int64}) AS end_ns,
    (least({until_ns:Int64}, end_ns) - greatest({since_ns:Int64}, start_ns)) / 1e9 AS seconds
SELECT
    start_ns, model, tenant,
    countIf(NOT excused OR missed) AS counted,
    countIf(outcome = 'finished' AND NOT missed) AS good,
    if(counted = 0, NULL, good / counted) AS good_ratio,
    good / seconds AS good_calls_per_s,
    sumIf(tokens, outcome = 'finished' AND NOT missed) / seconds AS good_tokens_per_s
FROM (
    SELECT
        if({every_ns:Int64} = 0, {since_ns:Int64},
            intDiv(toUnixTimestamp64Nano(arrival), {every_ns:Int64}) * {every_ns:Int64})
            AS start_ns,
        (outcome = 'cancelled'
            OR ifNull(status_code, 0) IN (400, 401, 403, 404, 405, 409, 413, 415, 422)) AS excused,
        model, tenant, outcome, ifNull(output_tokens, 0) AS tokens,
        toUnixTimestamp64Nano(arrival) AS came,
        toUnixTimestamp64Nano(finished) AS ended,
        ifNull(toUnixTimestamp64Nano(first_content), ended) AS first,
        ifNull(toUnixTimestamp64Nano(last_content), first) AS last,
        ({ttft_s:Float64} > 0 AND first - came > {ttft_s:Float64} * 1e9)
            OR ({itl_s:Float64} > 0 AND last - first > {itl_s:Float64} * 1e9 * (greatest(chunks, 1) - 1))
            OR ({e2e_s:Float64} > 0 AND ended - came > {e2e_s:Float64} * 1e9) AS missed
    FROM llm_gateway_calls
    WHERE arrival >= fromUnixTimestamp64Nano({since_ns:Int64})
        AND arrival < fromUnixTimestamp64Nano({until_ns:Int64})
        AND ({tenant:String} = '' OR tenant = {tenant:String})
        AND ({model:String} = '' OR model = {model:String})
)
GROUP BY start_ns, model, tenant
ORDER BY start_ns DESC, good_ratio ASC NULLS LAST, counted DESC, model, tenant
LIMIT {limit:UInt32}
