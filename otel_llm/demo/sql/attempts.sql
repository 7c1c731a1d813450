-- Tries at an upstream, on the monotonic clock.
SELECT
    call_id, trace_id, span_id, attempt, upstream, outcome, status_code, error_class,
    toUnixTimestamp64Nano(started) - clock_offset_ns AS started,
    toUnixTimestamp64Nano(finished) - clock_offset_ns AS finished
FROM llm_attempts
ORDER BY call_id, attempt
