-- Tenants by tokens, as the engines counted them, most first.
SELECT
    if({every_ns:Int64} = 0, {since_ns:Int64},
        intDiv(toUnixTimestamp64Nano(arrival), {every_ns:Int64}) * {every_ns:Int64}) AS start_ns,
    tenant, count() AS requests,
    sum(r.prompt_tokens) AS prompt_tokens,
    sum(r.cached_tokens) AS cached_tokens,
    sum(r.output_tokens) AS output_tokens,
    sum(r.recomputed_tokens) AS recomputed_tokens,
    (prompt_tokens + output_tokens)
        / greatest(1, sum(prompt_tokens + output_tokens) OVER (PARTITION BY start_ns))
        AS token_ratio
FROM llm_requests AS r
WHERE arrival >= fromUnixTimestamp64Nano({since_ns:Int64})
    AND arrival < fromUnixTimestamp64Nano({until_ns:Int64})
    AND ({model:String} = '' OR model = {model:String})
    AND ({service:String} = '' OR service = {service:String})
GROUP BY start_ns, tenant
ORDER BY start_ns DESC, prompt_tokens + output_tokens DESC, tenant
LIMIT {limit:UInt32}
