-- The engine services of a time, most requests first.
SELECT toString(service) AS value, concat(service, ' ', any(engine_version)) AS text
FROM llm_requests
WHERE arrival >= fromUnixTimestamp64Nano({since_ns:Int64})
    AND arrival < fromUnixTimestamp64Nano({until_ns:Int64})
GROUP BY service
ORDER BY toInt64(count()) * if({of:String} = 'canary', -1, 1) DESC, service
LIMIT {limit:UInt32}
