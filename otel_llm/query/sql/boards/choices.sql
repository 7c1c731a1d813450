-- The values that a board's variable offers, most used first.
SELECT
    toString(multiIf({of:String} = 'tenant', tenant, {of:String} = 'model', model, service))
        AS value,
    count() AS used
FROM llm_requests
WHERE arrival >= fromUnixTimestamp64Nano({since_ns:Int64})
    AND arrival < fromUnixTimestamp64Nano({until_ns:Int64})
GROUP BY value
HAVING value != ''
ORDER BY used DESC, value
LIMIT {limit:UInt32}
