-- Energy charged to requests that ended in the time, in stretches, by what is asked for.
SELECT
    intDiv(toUnixTimestamp64Nano(finished), {every_ns:Int64}) * {every_ns:Int64} AS start_ns,
    if(has({by:Array(String)}, 'tenant'), e.tenant, '') AS tenant,
    if(has({by:Array(String)}, 'model'), e.model, '') AS model,
    if(has({by:Array(String)}, 'service'), e.service, '') AS service,
    sum(e.prefill_mj) AS prefill_mj,
    sum(e.decode_mj) AS decode_mj,
    sum(e.error_mj) AS error_mj,
    sum(e.device_ns) AS device_ns,
    countIf(e.incomplete) AS incomplete,
    groupUniqArrayIf(e.instance_id, e.scope = 'local') AS instances
FROM llm_request_energy AS e
WHERE finished >= fromUnixTimestamp64Nano({since_ns:Int64})
    AND finished < fromUnixTimestamp64Nano({until_ns:Int64})
    AND ({tenant:String} = '' OR e.tenant = {tenant:String})
    AND ({model:String} = '' OR e.model = {model:String})
    AND ({service:String} = '' OR e.service = {service:String})
GROUP BY start_ns, tenant, model, service
ORDER BY start_ns, tenant, model, service
