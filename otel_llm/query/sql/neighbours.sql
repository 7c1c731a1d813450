-- How many other requests shared a step with some requests. A tenant that asks learns no names.
SELECT
    if({tenant:String} = '', toNullable(known.owner), NULL) AS tenant,
    count() AS requests
FROM (
    SELECT DISTINCT arrayJoin(request_index) AS member
    FROM llm_steps
    WHERE instance_id = {instance:String}
        AND dp_rank = {dp_rank:UInt16}
        AND scheduled >= fromUnixTimestamp64Nano({from_ns:Int64})
        AND scheduled <= fromUnixTimestamp64Nano({to_ns:Int64})
        AND hasAny(request_index, {indexes:Array(UInt64)})
) AS members
LEFT JOIN (
    -- Whoever shared a step arrived before its end. Two hours bound the scan.
    SELECT request_index AS member, toString(tenant) AS owner
    FROM llm_requests
    WHERE instance_id = {instance:String}
        AND dp_rank = {dp_rank:UInt16}
        AND arrival >= fromUnixTimestamp64Nano({from_ns:Int64}) - toIntervalHour(2)
        AND arrival <= fromUnixTimestamp64Nano({to_ns:Int64})
) AS known USING (member)
WHERE NOT has({indexes:Array(UInt64)}, member)
GROUP BY tenant
ORDER BY requests DESC, tenant
