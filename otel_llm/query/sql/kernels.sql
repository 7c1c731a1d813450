-- Time per kernel in the steps of some requests of one engine instance, most first.
SELECT
    source, device, name,
    count() AS launches, sum(duration_ns) AS total_ns, max(duration_ns) AS longest_ns
FROM llm_kernels
WHERE instance_id = {instance:String}
    AND dp_rank = {dp_rank:UInt16}
    AND start >= fromUnixTimestamp64Nano({from_ns:Int64})
    AND start <= fromUnixTimestamp64Nano({to_ns:Int64})
    AND step_seq GLOBAL IN (
        SELECT seq FROM llm_steps
        WHERE instance_id = {instance:String}
            AND dp_rank = {dp_rank:UInt16}
            AND scheduled >= fromUnixTimestamp64Nano({from_ns:Int64})
            AND scheduled <= fromUnixTimestamp64Nano({to_ns:Int64})
            AND hasAny(request_index, {indexes:Array(UInt64)})
    )
GROUP BY source, device, name
ORDER BY total_ns DESC, source, device, name
