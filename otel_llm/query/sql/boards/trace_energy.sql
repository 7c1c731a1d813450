-- Joules charged to a trace, by device. Amounts of one request add up.
SELECT
    toString(device) AS device, sum(e.prefill_mj) / 1000 AS prefill_j,
    sum(e.decode_mj) / 1000 AS decode_j, sum(e.error_mj) / 1000 AS error_j,
    any(method) AS method, any(sharing) AS sharing, any(scope) AS scope
FROM llm_request_energy AS e
WHERE trace_id = {trace:String}
GROUP BY device
ORDER BY prefill_j + decode_j DESC, device
LIMIT {limit:UInt32}
