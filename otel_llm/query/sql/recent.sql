-- What arrived lately, newest or slowest first: calls, and engine requests whose trace has none.
SELECT
    kind, '' AS field, '' AS value, time_ns, call_id, trace_id, instance_id, request_index,
    api_request_id
FROM (
    SELECT
        'call' AS kind,
        toUnixTimestamp64Nano(arrival) AS time_ns,
        toUnixTimestamp64Nano(finished) - time_ns AS duration_ns,
        call_id, trace_id, '' AS instance_id, toUInt64(0) AS request_index, '' AS api_request_id
    FROM llm_gateway_calls
    WHERE arrival >= fromUnixTimestamp64Nano({since_ns:Int64})
        AND ({tenant:String} = '' OR tenant = {tenant:String})
        AND ({model:String} = '' OR model = {model:String})
    UNION ALL
    SELECT
        'request', toUnixTimestamp64Nano(arrival) AS arrived,
        toUnixTimestamp64Nano(finished) - arrived,
        '', trace_id, instance_id, request_index, api_request_id
    FROM llm_requests
    WHERE arrival >= fromUnixTimestamp64Nano({since_ns:Int64})
        AND ({tenant:String} = '' OR tenant = {tenant:String})
        AND ({model:String} = '' OR model = {model:String})
        AND trace_id GLOBAL NOT IN (
            SELECT trace_id FROM llm_gateway_calls
            WHERE arrival >= fromUnixTimestamp64Nano({since_ns:Int64} - 3600000000000)
        )
)
ORDER BY if({slow:Bool}, duration_ns, 0) DESC, time_ns DESC, call_id, request_index
LIMIT {limit:UInt32}
