-- How many workers on devices engines have, on all nodes. 0 where that is not known.
SELECT instance_id, max(e.ranks) AS ranks
FROM llm_engine_events AS e
WHERE instance_id IN {instances:Array(String)}
GROUP BY instance_id
ORDER BY instance_id
