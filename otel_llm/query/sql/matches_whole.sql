-- Calls and engine requests that carry an id in a column with an index.
SELECT
    'call' AS kind, 'call id' AS field, call_id AS value,
    toUnixTimestamp64Nano(arrival) AS time_ns,
    call_id, trace_id, '' AS instance_id, toUInt64(0) AS request_index, '' AS api_request_id
FROM llm_gateway_calls
WHERE call_id = {id:String} AND ({tenant:String} = '' OR tenant = {tenant:String})
UNION ALL
SELECT
    'call', 'trace id', trace_id, toUnixTimestamp64Nano(arrival),
    call_id, trace_id, '', toUInt64(0), ''
FROM llm_gateway_calls
WHERE trace_id = {id:String} AND ({tenant:String} = '' OR tenant = {tenant:String})
UNION ALL
SELECT
    'request', 'trace id', trace_id, toUnixTimestamp64Nano(arrival),
    '', trace_id, instance_id, request_index, api_request_id
FROM llm_requests
WHERE trace_id = {id:String} AND ({tenant:String} = '' OR tenant = {tenant:String})
UNION ALL
SELECT
    'request', 'request id', request_id, toUnixTimestamp64Nano(arrival),
    '', trace_id, instance_id, request_index, api_request_id
FROM llm_requests
WHERE request_id = {id:String} AND ({tenant:String} = '' OR tenant = {tenant:String})
UNION ALL
SELECT
    'request', 'api request id', api_request_id, toUnixTimestamp64Nano(arrival),
    '', trace_id, instance_id, request_index, api_request_id
FROM llm_requests
WHERE api_request_id = {id:String} AND ({tenant:String} = '' OR tenant = {tenant:String})
