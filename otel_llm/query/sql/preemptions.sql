-- Requests that lost their place in the batch, by service and model, most preemptions first.
SELECT
    if({every_ns:Int64} = 0, {since_ns:Int64},
        intDiv(toUnixTimestamp64Nano(arrival), {every_ns:Int64}) * {every_ns:Int64}) AS start_ns,
    service, model, count() AS requests,
    countIf(r.preemptions > 0) AS preempted,
    sum(r.preemptions) AS preemptions,
    sum(r.recomputed_tokens) AS recomputed_tokens,
    sum(r.prompt_tokens - r.cached_tokens - r.unscheduled_tokens + r.output_tokens
        + r.recomputed_tokens) AS computed,
    if(computed = 0, NULL, recomputed_tokens / computed) AS recomputed_ratio
FROM llm_requests AS r
WHERE arrival >= fromUnixTimestamp64Nano({since_ns:Int64})
    AND arrival < fromUnixTimestamp64Nano({until_ns:Int64})
    AND ({tenant:String} = '' OR tenant = {tenant:String})
    AND ({model:String} = '' OR model = {model:String})
    AND ({service:String} = '' OR service = {service:String})
GROUP BY start_ns, service, model
ORDER BY start_ns DESC, preemptions DESC, requests DESC, service, model
LIMIT {limit:UInt32}
