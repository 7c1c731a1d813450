-- Processes among some that died, and the steps they left.
SELECT instance_id, toUnixTimestamp64Nano(time) AS time_ns, steps_in_flight
FROM llm_engine_events
WHERE event = 'died' AND instance_id IN {instances:Array(String)}
ORDER BY time
