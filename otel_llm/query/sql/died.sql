-- Processes that died, and what was in flight, newest first.
SELECT
    toUnixTimestamp64Nano(time) AS time_ns, kind, service, host, instance_id,
    length(e.steps_in_flight) AS steps_in_flight, requests_in_flight AS in_flight, lost_records
FROM llm_engine_events AS e
WHERE event = 'died'
    AND time >= fromUnixTimestamp64Nano({since_ns:Int64})
    AND time < fromUnixTimestamp64Nano({until_ns:Int64})
    AND ({service:String} = '' OR service = {service:String})
ORDER BY time DESC, instance_id
LIMIT {limit:UInt32}
