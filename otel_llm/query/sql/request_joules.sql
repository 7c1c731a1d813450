-- What requests of some traces were charged, all amounts and devices together.
SELECT
    instance_id, request_index,
    sum(e.energy_mj) / 1e3 AS energy_j,
    sum(e.prefill_mj) / 1e3 AS prefill_j,
    sum(e.decode_mj) / 1e3 AS decode_j,
    sum(e.error_mj) / 1e3 AS error_j,
    arraySort(groupUniqArray(e.method)) AS methods,
    arraySort(groupUniqArray(e.sharing)) AS sharings,
    arraySort(groupUniqArray(e.source)) AS sources,
    if(has(groupUniqArray(e.scope), 'local'), 'local', 'all') AS scope,
    uniqExact(e.device) AS devices,
    max(e.incomplete) AS incomplete
FROM llm_request_energy AS e
WHERE trace_id IN {traces:Array(String)}
GROUP BY instance_id, request_index
ORDER BY instance_id, request_index
