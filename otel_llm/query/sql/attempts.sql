-- All tries of some calls.
SELECT
    call_id, trace_id, span_id, attempt, upstream,
    toUnixTimestamp64Nano(started) AS started_ns,
    toUnixTimestamp64Nano(first_byte) AS first_byte_ns,
    toUnixTimestamp64Nano(finished) AS finished_ns,
    outcome, status_code, error_class, breaker, backoff_ns
FROM llm_attempts
WHERE call_id IN {calls:Array(String)}
ORDER BY call_id, attempt
