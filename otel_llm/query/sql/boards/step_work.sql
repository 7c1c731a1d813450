-- What engines did per step, over time, by service.
SELECT
    if({every_ns:Int64} = 0, {since_ns:Int64},
        intDiv(toUnixTimestamp64Nano(scheduled), {every_ns:Int64}) * {every_ns:Int64}) AS start_ns,
    service, count() AS steps,
    avg(s.prefill_tokens) AS prefill_per_step, avg(s.decode_tokens) AS decode_per_step,
    avg(length(request_index)) AS batch_mean, max(length(request_index)) AS batch_max,
    avg(waiting) AS waiting_mean, avg(running) AS running_mean,
    if(sum(kv_total) = 0, NULL, sum(kv_used) / sum(kv_total)) AS kv_ratio,
    arrayMap(q -> if(isNaN(q), NULL, q / 1e9), quantilesBFloat16If(0.5, 0.95)(
        assumeNotNull(toUnixTimestamp64Nano(result)) - toUnixTimestamp64Nano(scheduled),
        result IS NOT NULL)) AS took,
    took[1] AS step_p50_s, took[2] AS step_p95_s,
    sum(arraySum(drafts)) AS drafted, sum(arraySum(s.accepted)) AS accepted,
    if(drafted = 0, NULL, accepted / drafted) AS accepted_ratio
FROM llm_steps AS s
WHERE scheduled >= fromUnixTimestamp64Nano({since_ns:Int64})
    AND scheduled < fromUnixTimestamp64Nano({until_ns:Int64})
    AND ({model:String} = '' OR model = {model:String})
    AND ({service:String} = '' OR service = {service:String})
GROUP BY start_ns, service
ORDER BY start_ns DESC, service
LIMIT {limit:UInt32}
