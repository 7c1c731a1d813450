-- Calls one by one: the slowest, the dearest or those that failed, with what leads to their trace.
-- Tokens are the engine's own count where it served the call, else what the response told. What is
-- joined is asked of the calls that are shown alone; which are the dearest only the join can tell.
WITH
    toUnixTimestamp64Nano(finished) - toUnixTimestamp64Nano(arrival) AS took_ns,
    shown AS (
        SELECT trace_id FROM llm_gateway_calls
        WHERE arrival >= fromUnixTimestamp64Nano({since_ns:Int64})
            AND arrival < fromUnixTimestamp64Nano({until_ns:Int64})
            AND ({tenant:String} = '' OR tenant = {tenant:String})
            AND ({model:String} = '' OR model = {model:String})
            AND ({order:String} != 'failed' OR outcome IN ('failed', 'gateway_died', 'shed'))
            AND {order:String} != 'dear'
        ORDER BY if({order:String} = 'slow', took_ns, 0) DESC, arrival DESC, trace_id
        LIMIT {limit:UInt32}
    )
SELECT
    toUnixTimestamp64Nano(arrival) AS start_ns, c.trace_id AS trace_id, tenant, model, outcome,
    status_code, error_class, attempts,
    if(r.trace_id = '', c.prompt_tokens, r.engine_prompt) AS prompt_tokens,
    if(r.trace_id = '', c.output_tokens, r.engine_output) AS output_tokens,
    (toUnixTimestamp64Nano(first_content) - toUnixTimestamp64Nano(arrival)) / 1e9 AS ttft_s,
    took_ns / 1e9 AS e2e_s,
    e.energy_j AS energy_j
FROM llm_gateway_calls AS c
GLOBAL LEFT JOIN (
    SELECT trace_id, toNullable(sum(energy_mj) / 1000) AS energy_j
    FROM llm_request_energy
    WHERE finished >= fromUnixTimestamp64Nano({since_ns:Int64})
        AND finished < fromUnixTimestamp64Nano({until_ns:Int64} + 3600000000000)
        AND ({order:String} = 'dear' OR trace_id GLOBAL IN (SELECT trace_id FROM shown))
    GROUP BY trace_id
) AS e ON e.trace_id = c.trace_id
GLOBAL LEFT JOIN (
    SELECT trace_id, toNullable(sum(q.prompt_tokens)) AS engine_prompt,
        toNullable(sum(q.output_tokens)) AS engine_output
    FROM llm_requests AS q
    WHERE arrival >= fromUnixTimestamp64Nano({since_ns:Int64})
        AND arrival < fromUnixTimestamp64Nano({until_ns:Int64} + 3600000000000)
        AND ({order:String} = 'dear' OR trace_id GLOBAL IN (SELECT trace_id FROM shown))
    GROUP BY trace_id
) AS r ON r.trace_id = c.trace_id
WHERE arrival >= fromUnixTimestamp64Nano({since_ns:Int64})
    AND arrival < fromUnixTimestamp64Nano({until_ns:Int64})
    AND ({tenant:String} = '' OR tenant = {tenant:String})
    AND ({model:String} = '' OR model = {model:String})
    AND ({order:String} != 'failed' OR outcome IN ('failed', 'gateway_died', 'shed'))
    AND ({order:String} = 'dear' OR c.trace_id GLOBAL IN (SELECT trace_id FROM shown))
ORDER BY
    multiIf({order:String} = 'slow', e2e_s,
        {order:String} = 'dear', toFloat64(ifNull(energy_j, 0) * 1e9
            + ifNull(prompt_tokens, 0) + ifNull(output_tokens, 0)), 0.) DESC,
    start_ns DESC, c.trace_id
LIMIT {limit:UInt32}
