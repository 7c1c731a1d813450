-- The steps that served a trace: their batch, and which of their tokens were its own.
WITH r AS (
    SELECT instance_id, dp_rank, request_index, scheduled AS began, finished
    FROM llm_requests WHERE trace_id = {trace:String}
)
SELECT
    toUnixTimestamp64Nano(s.scheduled) AS start_ns, s.service AS service, s.seq AS seq,
    length(s.request_index) AS batch, s.prefill_tokens AS prefill_tokens,
    s.decode_tokens AS decode_tokens,
    arraySum(arrayMap((i, n) -> if(i = r.request_index, n, 0), s.request_index, s.tokens))
        AS own_tokens,
    s.waiting AS waiting,
    (toUnixTimestamp64Nano(s.result) - toUnixTimestamp64Nano(s.scheduled)) / 1e9 AS took_s
FROM llm_steps AS s
GLOBAL INNER JOIN r ON r.instance_id = s.instance_id AND r.dp_rank = s.dp_rank
WHERE s.scheduled >= (SELECT min(began) FROM r)
    AND s.scheduled <= (SELECT max(finished) FROM r)
    AND has(s.request_index, r.request_index)
ORDER BY start_ns, seq
LIMIT {limit:UInt32}
