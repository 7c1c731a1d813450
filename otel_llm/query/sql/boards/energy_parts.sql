-- Joules charged to requests, all together or by one part: per token, per request, and by phase.
-- A request is told by a hash of its name, which joins far faster than the name.
WITH
    if({every_ns:Int64} = 0, {until_ns:Int64}, start_ns + {every_ns:Int64}) AS end_ns,
    (least({until_ns:Int64}, end_ns) - greatest({since_ns:Int64}, start_ns)) / 1e9 AS seconds
SELECT
    start_ns, part, sum(e.charged_mj) / 1000 AS energy_j, sum(e.of_prefill_mj) / 1000 AS prefill_j,
    sum(e.of_decode_mj) / 1000 AS decode_j, energy_j / seconds AS energy_w,
    prefill_j / seconds AS prefill_w, decode_j / seconds AS decode_w,
    count() AS requests, energy_j / requests AS j_per_request,
    sum(r.output_tokens) AS output_tokens, energy_j / nullIf(output_tokens, 0) AS j_per_token,
    energy_j / 3600000 AS kwh
FROM (
    SELECT
        cityHash64(instance_id, request_index) AS request,
        if({every_ns:Int64} = 0, {since_ns:Int64},
            intDiv(toUnixTimestamp64Nano(min(finished)), {every_ns:Int64}) * {every_ns:Int64})
            AS start_ns,
        any(multiIf({by:String} = 'model', model, {by:String} = 'tenant', tenant,
            {by:String} = 'service', service, 'all')) AS part,
        sum(energy_mj) AS charged_mj, sum(prefill_mj) AS of_prefill_mj,
        sum(decode_mj) AS of_decode_mj
    FROM llm_request_energy
    WHERE finished >= fromUnixTimestamp64Nano({since_ns:Int64})
        AND finished < fromUnixTimestamp64Nano({until_ns:Int64})
        AND ({tenant:String} = '' OR tenant = {tenant:String})
        AND ({model:String} = '' OR model = {model:String})
    GROUP BY request
) AS e
GLOBAL ANY LEFT JOIN (
    SELECT cityHash64(instance_id, request_index) AS request, output_tokens
    FROM llm_requests
    WHERE arrival >= fromUnixTimestamp64Nano({since_ns:Int64} - 3600000000000)
        AND arrival < fromUnixTimestamp64Nano({until_ns:Int64})
        AND ({tenant:String} = '' OR tenant = {tenant:String})
        AND ({model:String} = '' OR model = {model:String})
) AS r ON r.request = e.request
GROUP BY start_ns, part
ORDER BY start_ns DESC, energy_j DESC, part
LIMIT {limit:UInt32}
