-- Whether a profile was imported, and how far it came.
SELECT event, service, toUnixTimestamp64Nano(min(time)) AS time_ns, any(clock_offset_ns) AS offset_ns
FROM llm_engine_events
WHERE instance_id = {instance:String} AND event IN ('importing', 'imported')
GROUP BY event, service
