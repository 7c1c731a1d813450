-- Births and deaths of engines and gateways, newest first, and what was in flight.
SELECT
    toUnixTimestamp64Nano(time) AS start_ns, kind, service, host, event, instance_id,
    length(requests_in_flight) AS requests_in_flight, length(steps_in_flight) AS steps_in_flight,
    lost_records
FROM llm_engine_events
WHERE time >= fromUnixTimestamp64Nano({since_ns:Int64})
    AND time < fromUnixTimestamp64Nano({until_ns:Int64})
    AND ({service:String} = '' OR service = {service:String})
ORDER BY start_ns DESC, kind, service, instance_id
LIMIT {limit:UInt32}
