-- Engines, of some, with devices that nobody told the energy of in the time: fewer devices have told
-- than the engine has workers, or it did not say how many.
SELECT instance_id, max(t.ranks) AS ranks, uniqExactIf(t.device, t.device != '') AS devices
FROM (
    SELECT instance_id, toUInt32(ranks) AS ranks, '' AS device
    FROM llm_engine_events
    WHERE instance_id IN {instances:Array(String)}
    UNION ALL
    SELECT instance_id, toUInt32(0) AS ranks, toString(device) AS device
    FROM llm_request_energy
    WHERE instance_id IN {instances:Array(String)}
        AND finished >= fromUnixTimestamp64Nano({since_ns:Int64})
        AND finished < fromUnixTimestamp64Nano({until_ns:Int64})
    UNION ALL
    SELECT instance_id, toUInt32(0) AS ranks, toString(device) AS device
    FROM llm_step_energy
    WHERE instance_id IN {instances:Array(String)}
        AND started < fromUnixTimestamp64Nano({until_ns:Int64})
) AS t
GROUP BY instance_id
HAVING ranks = 0 OR devices < ranks
ORDER BY instance_id
