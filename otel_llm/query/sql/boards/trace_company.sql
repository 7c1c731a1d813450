-- Whose requests shared steps with a trace, in numbers. For operators: a tenant sees no names.
WITH r AS (
    SELECT instance_id, dp_rank, request_index, scheduled AS began, finished
    FROM llm_requests WHERE trace_id = {trace:String}
)
SELECT tenant, uniqExact(o.request_index) AS requests, sum(o.output_tokens) AS output_tokens
FROM llm_requests AS o
WHERE o.trace_id != {trace:String}
    AND o.arrival >= (SELECT min(began) FROM r) - INTERVAL 1 HOUR
    AND o.arrival <= (SELECT max(finished) FROM r)
    AND (o.instance_id, o.dp_rank, o.request_index) GLOBAL IN (
        SELECT s.instance_id, s.dp_rank, arrayJoin(s.request_index)
        FROM llm_steps AS s
        GLOBAL INNER JOIN r ON r.instance_id = s.instance_id AND r.dp_rank = s.dp_rank
        WHERE s.scheduled >= (SELECT min(began) FROM r)
            AND s.scheduled <= (SELECT max(finished) FROM r)
            AND has(s.request_index, r.request_index)
    )
GROUP BY tenant
ORDER BY requests DESC, tenant
LIMIT {limit:UInt32}
