-- What burned an error budget: calls that missed the objective, by cause, model and tenant.
-- A call has one cause: its error, unless the caller asked wrongly, else the first limit it missed.
SELECT
    cause, model, tenant, count() AS bad,
    bad / sum(bad) OVER () AS bad_ratio, max(trace_id) AS trace_id
FROM (
    SELECT
        model, tenant, trace_id, outcome,
        (outcome = 'cancelled'
            OR ifNull(status_code, 0) IN (400, 401, 403, 404, 405, 409, 413, 415, 422)) AS excused,
        toUnixTimestamp64Nano(arrival) AS came,
        toUnixTimestamp64Nano(finished) AS ended,
        ifNull(toUnixTimestamp64Nano(first_content), ended) AS first,
        ifNull(toUnixTimestamp64Nano(last_content), first) AS last,
        multiIf(
            NOT excused AND outcome != 'finished',
                if(error_class = '', toString(outcome), toString(error_class)),
            {ttft_s:Float64} > 0 AND first - came > {ttft_s:Float64} * 1e9, 'slow first token',
            {itl_s:Float64} > 0
                AND last - first > {itl_s:Float64} * 1e9 * (greatest(chunks, 1) - 1), 'slow tokens',
            {e2e_s:Float64} > 0 AND ended - came > {e2e_s:Float64} * 1e9, 'slow call',
            '') AS cause
    FROM llm_gateway_calls
    WHERE arrival >= fromUnixTimestamp64Nano({since_ns:Int64})
        AND arrival < fromUnixTimestamp64Nano({until_ns:Int64})
        AND ({tenant:String} = '' OR tenant = {tenant:String})
        AND ({model:String} = '' OR model = {model:String})
)
WHERE cause != ''
GROUP BY cause, model, tenant
ORDER BY bad DESC, cause, model, tenant
LIMIT {limit:UInt32}
