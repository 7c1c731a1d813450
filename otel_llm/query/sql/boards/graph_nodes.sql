-- The way of calls as a graph's nodes: gateways, upstreams, engine services. Arcs: well and ill.
SELECT * FROM (
    SELECT
        concat('gateway ', toString(service)) AS id, toString(service) AS title, 'gateway' AS subtitle,
        concat(toString(count()), ' calls') AS mainstat,
        countIf(outcome NOT IN ('failed', 'gateway_died', 'shed')) / count() AS arc__good,
        1 - arc__good AS arc__bad
    FROM llm_gateway_calls
    WHERE arrival >= fromUnixTimestamp64Nano({since_ns:Int64})
        AND arrival < fromUnixTimestamp64Nano({until_ns:Int64})
    GROUP BY service
    UNION ALL
    SELECT
        concat('upstream ', toString(upstream)), toString(upstream), 'upstream',
        concat(toString(count()), ' attempts'),
        countIf(outcome != 'failed') / count() AS good, 1 - good
    FROM llm_attempts
    WHERE started >= fromUnixTimestamp64Nano({since_ns:Int64})
        AND started < fromUnixTimestamp64Nano({until_ns:Int64})
    GROUP BY upstream
    UNION ALL
    SELECT
        concat('engine ', toString(service)), toString(service), 'engine',
        concat(toString(count()), ' requests'),
        countIf(outcome IN ('finished', 'cancelled')) / count() AS good, 1 - good
    FROM llm_requests
    WHERE arrival >= fromUnixTimestamp64Nano({since_ns:Int64})
        AND arrival < fromUnixTimestamp64Nano({until_ns:Int64})
    GROUP BY service
)
ORDER BY id
LIMIT {limit:UInt32}
