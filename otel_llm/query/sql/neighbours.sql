-- How many other requests shared a step with some requests. A tenant that asks learns no names.
-- Steps and requests lie on different servers of a cluster: each tells its part, nothing is joined.
SELECT
    if({tenant:String} = '', toNullable(owner), NULL) AS tenant,
    count() AS requests
FROM (
    SELECT member, max(shared) AS was_there, max(known_owner) AS owner
    FROM (
        SELECT DISTINCT arrayJoin(request_index) AS member, true AS shared, '' AS known_owner
        FROM llm_steps
        WHERE instance_id = {instance:String}
            AND dp_rank = {dp_rank:UInt16}
            AND scheduled >= fromUnixTimestamp64Nano({from_ns:Int64})
            AND scheduled <= fromUnixTimestamp64Nano({to_ns:Int64})
            AND hasAny(request_index, {indexes:Array(UInt64)})
        UNION ALL
        -- Whoever shared a step arrived before its end. Two hours bound the scan.
        SELECT request_index, false, toString(r.tenant)
        FROM llm_requests AS r
        WHERE instance_id = {instance:String}
            AND dp_rank = {dp_rank:UInt16}
            AND arrival >= fromUnixTimestamp64Nano({from_ns:Int64}) - toIntervalHour(2)
            AND arrival <= fromUnixTimestamp64Nano({to_ns:Int64})
    )
    GROUP BY member
    HAVING was_there AND NOT has({indexes:Array(UInt64)}, member)
)
GROUP BY tenant
ORDER BY requests DESC, tenant
