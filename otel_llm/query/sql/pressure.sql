-- Queue depth and use of the KV cache, by engine instance, the fullest first.
SELECT
    if({every_ns:Int64} = 0, {since_ns:Int64},
        intDiv(toUnixTimestamp64Nano(scheduled), {every_ns:Int64}) * {every_ns:Int64}) AS start_ns,
    service, instance_id, dp_rank, count() AS steps,
    avg(waiting) AS waiting_mean, max(waiting) AS waiting_max,
    avg(running) AS running_mean, max(running) AS running_max,
    if(sum(kv_total) = 0, NULL, sum(kv_used) / sum(kv_total)) AS kv_mean_ratio,
    if(sum(kv_total) = 0, NULL, max(kv_used / greatest(kv_total, 1))) AS kv_max_ratio
FROM llm_steps
WHERE scheduled >= fromUnixTimestamp64Nano({since_ns:Int64})
    AND scheduled < fromUnixTimestamp64Nano({until_ns:Int64})
    AND ({model:String} = '' OR model = {model:String})
    AND ({service:String} = '' OR service = {service:String})
GROUP BY start_ns, service, instance_id, dp_rank
ORDER BY start_ns DESC, waiting_mean DESC, kv_max_ratio DESC, service, instance_id, dp_rank
LIMIT {limit:UInt32}
