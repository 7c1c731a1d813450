-- Requests that ended in the time and were charged energy, and their tokens, by what is asked for.
SELECT
    if(has({by:Array(String)}, 'tenant'), r.tenant, '') AS tenant,
    if(has({by:Array(String)}, 'model'), r.model, '') AS model,
    if(has({by:Array(String)}, 'service'), r.service, '') AS service,
    count() AS requests,
    sum(r.prompt_tokens - least(r.cached_tokens, r.prompt_tokens)) AS prompt_tokens,
    sum(r.output_tokens) AS output_tokens
FROM llm_requests AS r
WHERE finished >= fromUnixTimestamp64Nano({since_ns:Int64})
    AND finished < fromUnixTimestamp64Nano({until_ns:Int64})
    AND ({tenant:String} = '' OR r.tenant = {tenant:String})
    AND ({model:String} = '' OR r.model = {model:String})
    AND ({service:String} = '' OR r.service = {service:String})
    AND ((instance_id, request_index) GLOBAL IN (
        SELECT instance_id, request_index FROM llm_request_energy
        WHERE finished >= fromUnixTimestamp64Nano({since_ns:Int64})
            AND finished < fromUnixTimestamp64Nano({until_ns:Int64})
    ) OR instance_id GLOBAL IN (
        SELECT instance_id FROM llm_step_energy
        WHERE started < fromUnixTimestamp64Nano({until_ns:Int64})
    ))
GROUP BY tenant, model, service
