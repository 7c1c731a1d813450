-- Calls and engine requests one of whose ids begins with a text, exact ones first.
WITH tries AS (
    SELECT call_id, span_id FROM llm_attempts WHERE startsWith(span_id, {id:String})
)
SELECT
    kind, field, value, time_ns, call_id, trace_id, instance_id, request_index, api_request_id
FROM (
    SELECT
        'call' AS kind,
        toUnixTimestamp64Nano(arrival) AS time_ns,
        call_id, trace_id, '' AS instance_id, toUInt64(0) AS request_index, '' AS api_request_id,
        [('call id', call_id), ('trace id', trace_id), ('span id', span_id),
            ('response id', response_id)] AS ids
    FROM llm_gateway_calls
    WHERE ({tenant:String} = '' OR tenant = {tenant:String})
        AND (startsWith(call_id, {id:String}) OR startsWith(trace_id, {id:String})
            OR startsWith(span_id, {id:String}) OR startsWith(response_id, {id:String}))
    UNION ALL
    SELECT
        'call', toUnixTimestamp64Nano(arrival), call_id, trace_id, '', toUInt64(0), '',
        [('span id', tries.span_id)]
    FROM llm_gateway_calls GLOBAL INNER JOIN tries USING (call_id)
    WHERE {tenant:String} = '' OR tenant = {tenant:String}
    UNION ALL
    SELECT
        'request', toUnixTimestamp64Nano(arrival), '', trace_id, instance_id, request_index,
        api_request_id,
        [('request id', request_id), ('api request id', api_request_id), ('trace id', trace_id),
            ('span id', span_id)]
    FROM llm_requests
    WHERE ({tenant:String} = '' OR tenant = {tenant:String})
        AND (startsWith(request_id, {id:String}) OR startsWith(api_request_id, {id:String})
            OR startsWith(trace_id, {id:String}) OR startsWith(span_id, {id:String}))
)
ARRAY JOIN ids.1 AS field, ids.2 AS value
WHERE startsWith(value, {id:String})
ORDER BY value = {id:String} DESC, time_ns DESC, value, kind, call_id, request_index
LIMIT {limit:UInt32}
