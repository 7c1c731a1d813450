-- Where finished requests spent their time in an engine, by service and model, slowest first.
WITH
    toUnixTimestamp64Nano(arrival) AS came,
    assumeNotNull(toUnixTimestamp64Nano(r.scheduled)) AS began,
    assumeNotNull(toUnixTimestamp64Nano(r.first_token)) AS first,
    arrayMap(q -> if(isNaN(q), NULL, q / 1e9), quantilesBFloat16If(0.5, 0.95)(
        began - assumeNotNull(toUnixTimestamp64Nano(queued)),
        queued IS NOT NULL AND r.scheduled IS NOT NULL)) AS queue,
    arrayMap(q -> if(isNaN(q), NULL, q / 1e9), quantilesBFloat16If(0.5, 0.95)(
        first - began, r.scheduled IS NOT NULL AND first_token IS NOT NULL)) AS prefill,
    arrayMap(q -> if(isNaN(q), NULL, q / 1e9), quantilesBFloat16If(0.5, 0.95)(
        assumeNotNull(toUnixTimestamp64Nano(first_output)) - came,
        first_output IS NOT NULL)) AS ttft,
    arrayMap(q -> if(isNaN(q), NULL, q / 1e9), quantilesBFloat16If(0.5, 0.95)(
        (assumeNotNull(toUnixTimestamp64Nano(last_token)) - first) / (output_tokens - 1),
        first_token IS NOT NULL AND last_token IS NOT NULL AND output_tokens > 1)) AS tpot,
    arrayMap(q -> if(isNaN(q), NULL, q / 1e9), quantilesBFloat16(0.5, 0.95)(
        toUnixTimestamp64Nano(finished) - came)) AS e2e
SELECT
    if({every_ns:Int64} = 0, {since_ns:Int64},
        intDiv(toUnixTimestamp64Nano(arrival), {every_ns:Int64}) * {every_ns:Int64}) AS start_ns,
    service, model, count() AS requests,
    queue[1] AS queue_p50_s, queue[2] AS queue_p95_s,
    prefill[1] AS prefill_p50_s, prefill[2] AS prefill_p95_s,
    ttft[1] AS ttft_p50_s, ttft[2] AS ttft_p95_s,
    tpot[1] AS tpot_p50_s, tpot[2] AS tpot_p95_s,
    e2e[1] AS e2e_p50_s, e2e[2] AS e2e_p95_s
FROM llm_requests AS r
WHERE arrival >= fromUnixTimestamp64Nano({since_ns:Int64})
    AND arrival < fromUnixTimestamp64Nano({until_ns:Int64})
    AND outcome = 'finished'
    AND ({tenant:String} = '' OR tenant = {tenant:String})
    AND ({model:String} = '' OR model = {model:String})
    AND ({service:String} = '' OR service = {service:String})
GROUP BY start_ns, service, model
ORDER BY start_ns DESC, e2e_p95_s DESC, requests DESC, service, model
LIMIT {limit:UInt32}
