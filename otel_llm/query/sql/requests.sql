-- All engine requests of some traces. Those that came without a trace have one of their own.
SELECT
    instance_id, service, host, engine, engine_version, model, dp_rank, request_index,
    request_id, api_request_id, trace_id, span_id, parent_span_id, tenant, tier, attempt,
    operation,
    toUnixTimestamp64Nano(arrival) AS arrival_ns,
    toUnixTimestamp64Nano(queued) AS queued_ns,
    toUnixTimestamp64Nano(scheduled) AS scheduled_ns,
    toUnixTimestamp64Nano(first_token) AS first_token_ns,
    toUnixTimestamp64Nano(first_output) AS first_output_ns,
    toUnixTimestamp64Nano(last_token) AS last_token_ns,
    toUnixTimestamp64Nano(finished) AS finished_ns,
    outcome, finish_reason, error_type, prompt_tokens, cached_tokens, output_tokens,
    recomputed_tokens, rejected_tokens, discarded_tokens, unscheduled_tokens, delivered_tokens,
    max_tokens, preemptions, sample_index, sample_count, lora, incomplete, clock_error_ns
FROM llm_requests
WHERE trace_id IN {traces:Array(String)}
ORDER BY arrival, instance_id, request_index
