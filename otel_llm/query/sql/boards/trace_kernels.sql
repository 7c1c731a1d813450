-- Device time of the steps that served a trace, by kernel class: whole batches, others' share too.
WITH r AS (
    SELECT instance_id, dp_rank, request_index, scheduled AS began, finished
    FROM llm_requests WHERE trace_id = {trace:String}
)
SELECT toString(one_class) AS kind, sum(of_class) AS launches, sum(class_ns) / 1e9 AS took_s
FROM llm_step_kernels AS k
ARRAY JOIN class AS one_class, kernels AS of_class, kernel_ns AS class_ns
WHERE k.start >= (SELECT min(began) FROM r)
    AND k.start <= (SELECT max(finished) FROM r)
    AND (k.instance_id, k.dp_rank, k.step_seq) GLOBAL IN (
        SELECT s.instance_id, s.dp_rank, s.seq
        FROM llm_steps AS s
        GLOBAL INNER JOIN r ON r.instance_id = s.instance_id AND r.dp_rank = s.dp_rank
        WHERE s.scheduled >= (SELECT min(began) FROM r)
            AND s.scheduled <= (SELECT max(finished) FROM r)
            AND has(s.request_index, r.request_index)
    )
GROUP BY kind
ORDER BY took_s DESC, kind
LIMIT {limit:UInt32}
