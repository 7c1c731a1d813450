-- Engine instances by throughput, most tokens first.
WITH
    if({every_ns:Int64} = 0, {until_ns:Int64}, start_ns + {every_ns:Int64}) AS end_ns,
    (least({until_ns:Int64}, end_ns) - greatest({since_ns:Int64}, start_ns)) / 1e9 AS seconds,
    arrayMap(q -> if(isNaN(q), NULL, q / 1e9), quantilesBFloat16If(0.5, 0.95)(
        assumeNotNull(toUnixTimestamp64Nano(result)) - toUnixTimestamp64Nano(scheduled),
        result IS NOT NULL)) AS took
SELECT
    if({every_ns:Int64} = 0, {since_ns:Int64},
        intDiv(toUnixTimestamp64Nano(scheduled), {every_ns:Int64}) * {every_ns:Int64}) AS start_ns,
    service, instance_id, dp_rank,
    count() / seconds AS steps_per_s,
    sum(prefill_tokens) / seconds AS prefill_tokens_per_s,
    sum(decode_tokens) / seconds AS decode_tokens_per_s,
    avg(request_index.size0) AS batch_mean,
    max(request_index.size0) AS batch_max,
    took[1] AS step_p50_s, took[2] AS step_p95_s
FROM llm_steps
WHERE scheduled >= fromUnixTimestamp64Nano({since_ns:Int64})
    AND scheduled < fromUnixTimestamp64Nano({until_ns:Int64})
    AND ({model:String} = '' OR model = {model:String})
    AND ({service:String} = '' OR service = {service:String})
GROUP BY start_ns, service, instance_id, dp_rank
ORDER BY start_ns DESC, prefill_tokens_per_s + decode_tokens_per_s DESC, service, instance_id, dp_rank
LIMIT {limit:UInt32}
