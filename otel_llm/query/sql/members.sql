-- The requests that took part in steps of some requests of one engine instance, those left out.
SELECT DISTINCT arrayJoin(request_index) AS request_index
FROM llm_steps AS s
WHERE instance_id = {instance:String}
    AND dp_rank = {dp_rank:UInt16}
    AND scheduled >= fromUnixTimestamp64Nano({from_ns:Int64})
    AND scheduled <= fromUnixTimestamp64Nano({to_ns:Int64})
    AND hasAny(s.request_index, {indexes:Array(UInt64)})
    AND NOT has({indexes:Array(UInt64)}, request_index)
