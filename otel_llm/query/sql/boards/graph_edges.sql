-- The way of calls as a graph's edges: gateway to upstream by attempts, upstream to engine.
SELECT * FROM (
    SELECT
        concat(toString(service), ' to ', toString(upstream)) AS id,
        concat('gateway ', toString(service)) AS source,
        concat('upstream ', toString(upstream)) AS target,
        concat(toString(count()), ' attempts') AS mainstat
    FROM llm_attempts
    WHERE started >= fromUnixTimestamp64Nano({since_ns:Int64})
        AND started < fromUnixTimestamp64Nano({until_ns:Int64})
    GROUP BY service, upstream
    UNION ALL
    SELECT
        concat(toString(a.upstream), ' in ', toString(r.service)),
        concat('upstream ', toString(a.upstream)), concat('engine ', toString(r.service)),
        concat(toString(count()), ' requests')
    FROM llm_requests AS r
    GLOBAL INNER JOIN (
        SELECT span_id, upstream FROM llm_attempts
        WHERE started >= fromUnixTimestamp64Nano({since_ns:Int64})
            AND started < fromUnixTimestamp64Nano({until_ns:Int64})
    ) AS a ON a.span_id = r.parent_span_id
    WHERE r.arrival >= fromUnixTimestamp64Nano({since_ns:Int64})
        AND r.arrival < fromUnixTimestamp64Nano({until_ns:Int64})
    GROUP BY a.upstream, r.service
)
ORDER BY id
LIMIT {limit:UInt32}
