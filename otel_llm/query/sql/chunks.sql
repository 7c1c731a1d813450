-- Times between content chunks as callers saw them, by model and tenant, slowest first.
WITH arrayMap(q -> if(isNaN(q), NULL, q / 1e6),
        quantilesBFloat16Array(0.5, 0.95, 0.99)(inter_chunk_us)) AS itl
SELECT
    if({every_ns:Int64} = 0, {since_ns:Int64},
        intDiv(toUnixTimestamp64Nano(arrival), {every_ns:Int64}) * {every_ns:Int64}) AS start_ns,
    model, tenant, count() AS calls, sum(c.chunks) AS chunks,
    itl[1] AS itl_p50_s, itl[2] AS itl_p95_s, itl[3] AS itl_p99_s
FROM llm_gateway_calls AS c
WHERE arrival >= fromUnixTimestamp64Nano({since_ns:Int64})
    AND arrival < fromUnixTimestamp64Nano({until_ns:Int64})
    AND notEmpty(inter_chunk_us)
    AND ({tenant:String} = '' OR tenant = {tenant:String})
    AND ({model:String} = '' OR model = {model:String})
GROUP BY start_ns, model, tenant
ORDER BY start_ns DESC, itl_p99_s DESC, model, tenant
LIMIT {limit:UInt32}
