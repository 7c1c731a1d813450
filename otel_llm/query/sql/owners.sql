-- Whose the requests of one engine instance were that may have shared its steps of some time.
-- Whoever did arrived before its end. Two hours bound the scan.
SELECT request_index, tenant
FROM llm_requests
WHERE instance_id = {instance:String}
    AND dp_rank = {dp_rank:UInt16}
    AND arrival >= fromUnixTimestamp64Nano({from_ns:Int64}) - toIntervalHour(2)
    AND arrival <= fromUnixTimestamp64Nano({to_ns:Int64})
    AND request_index BETWEEN {first:UInt64} AND {last:UInt64}
