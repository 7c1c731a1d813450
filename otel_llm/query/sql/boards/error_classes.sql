-- What went wrong with calls, by class, most first. Cancelled calls are their callers' own doing.
SELECT error_class, any(status_code) AS status, count() AS calls, max(trace_id) AS trace_id
FROM llm_gateway_calls
WHERE arrival >= fromUnixTimestamp64Nano({since_ns:Int64})
    AND arrival < fromUnixTimestamp64Nano({until_ns:Int64})
    AND error_class != '' AND outcome != 'cancelled'
    AND ({tenant:String} = '' OR tenant = {tenant:String})
    AND ({model:String} = '' OR model = {model:String})
GROUP BY error_class
ORDER BY calls DESC, error_class
LIMIT {limit:UInt32}
