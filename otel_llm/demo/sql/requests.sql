-- Engine requests, each with the sums over the steps that served it, on the monotonic clock.
SELECT
    r.instance_id AS instance_id, r.request_index AS request_index, request_id, r.trace_id AS trace_id,
    r.span_id AS span_id, parent_span_id, outcome, tenant, attempt, incomplete,
    prompt_tokens, cached_tokens, output_tokens, recomputed_tokens, rejected_tokens,
    discarded_tokens, unscheduled_tokens, delivered_tokens, preemptions, max_tokens,
    toUnixTimestamp64Nano(arrival) - r.clock_offset_ns AS arrival,
    toUnixTimestamp64Nano(queued) - r.clock_offset_ns AS queued,
    toUnixTimestamp64Nano(r.scheduled) - r.clock_offset_ns AS scheduled,
    toUnixTimestamp64Nano(first_token) - r.clock_offset_ns AS first_token,
    toUnixTimestamp64Nano(first_output) - r.clock_offset_ns AS first_output,
    toUnixTimestamp64Nano(last_token) - r.clock_offset_ns AS last_token,
    toUnixTimestamp64Nano(finished) - r.clock_offset_ns AS finished,
    steps, step_tokens, step_emitted, first_step, first_result, last_step
FROM llm_requests AS r
LEFT JOIN
(
    SELECT
        instance_id, request_index, count() AS steps,
        sum(tokens) AS step_tokens, sum(emitted) AS step_emitted,
        min(toUnixTimestamp64Nano(scheduled) - clock_offset_ns) AS first_step,
        min(toUnixTimestamp64Nano(result) - clock_offset_ns) AS first_result,
        max(toUnixTimestamp64Nano(scheduled) - clock_offset_ns) AS last_step
    FROM llm_step_requests
    GROUP BY instance_id, request_index
) AS s USING (instance_id, request_index)
ORDER BY arrival
