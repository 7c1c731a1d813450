-- Calls at the gateway; times on the monotonic clock, so that rows of one host compare exactly.
SELECT
    call_id, trace_id, span_id, parent_span_id, outcome, status_code, error_class, stream, samples,
    attempts, prompt_tokens, output_tokens, tenant,
    toUnixTimestamp64Nano(arrival) - clock_offset_ns AS arrival,
    toUnixTimestamp64Nano(first_content) - clock_offset_ns AS first_content,
    toUnixTimestamp64Nano(finished) - clock_offset_ns AS finished
FROM llm_gateway_calls
ORDER BY arrival
