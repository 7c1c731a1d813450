-- All calls of some traces.
SELECT
    instance_id, service, host, call_id, trace_id, span_id, parent_span_id, tenant, tier,
    toUnixTimestamp64Nano(arrival) AS arrival_ns,
    toUnixTimestamp64Nano(first_content) AS first_content_ns,
    toUnixTimestamp64Nano(last_content) AS last_content_ns,
    toUnixTimestamp64Nano(finished) AS finished_ns,
    method, route, operation, model, outcome, status_code, error_class, stream, samples,
    chunks, inter_chunk_us, prompt_tokens, cached_tokens, output_tokens, attempts, response_id,
    request_bytes, response_bytes, clock_error_ns
FROM llm_gateway_calls
WHERE trace_id IN {traces:Array(String)}
ORDER BY arrival, call_id
