-- Time per kernel class in the steps of some requests of one engine instance, most first.
SELECT
    source, one_class AS kind, sum(of_class) AS launches, sum(class_ns) AS total_ns
FROM llm_step_kernels
ARRAY JOIN class AS one_class, kernels AS of_class, kernel_ns AS class_ns
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
GROUP BY source, kind
ORDER BY total_ns DESC, source, kind
