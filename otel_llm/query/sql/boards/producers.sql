-- Who wrote facts in the time and what it ran: versions of software, model, driver and CUDA, and its
-- place. Who had ended before is left out.
SELECT
    kind, service, instance_id, engine, engine_version, model, model_version, driver_version,
    cuda_version, host, toUnixTimestamp64Nano(time) AS start_ns
FROM llm_producers
WHERE time < fromUnixTimestamp64Nano({until_ns:Int64})
    AND ({service:String} = '' OR service = {service:String})
    AND instance_id GLOBAL NOT IN (
        SELECT instance_id FROM llm_engine_events
        WHERE event IN ('stopped', 'died') AND time < fromUnixTimestamp64Nano({since_ns:Int64})
    )
ORDER BY start_ns DESC, kind, service, instance_id
LIMIT {limit:UInt32}
