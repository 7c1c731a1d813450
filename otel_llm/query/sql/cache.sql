-- What part of prompts came from the prefix cache, by model and tenant, most prompt tokens first.
SELECT
    if({every_ns:Int64} = 0, {since_ns:Int64},
        intDiv(toUnixTimestamp64Nano(arrival), {every_ns:Int64}) * {every_ns:Int64}) AS start_ns,
    model, tenant, count() AS requests,
    countIf(r.cached_tokens > 0) AS hits,
    sum(r.prompt_tokens) AS prompt_tokens,
    sum(r.cached_tokens) AS cached_tokens,
    if(prompt_tokens = 0, NULL, cached_tokens / prompt_tokens) AS hit_ratio
FROM llm_requests AS r
WHERE arrival >= fromUnixTimestamp64Nano({since_ns:Int64})
    AND arrival < fromUnixTimestamp64Nano({until_ns:Int64})
    AND ({tenant:String} = '' OR tenant = {tenant:String})
    AND ({model:String} = '' OR model = {model:String})
    AND ({service:String} = '' OR service = {service:String})
GROUP BY start_ns, model, tenant
ORDER BY start_ns DESC, prompt_tokens DESC, model, tenant
LIMIT {limit:UInt32}
