-- One trace in a line: how long, how many tokens, how many joules. Without a call, by its requests.
SELECT
    if(c.calls > 0, c.took_s, r.took_s) AS took_s,
    c.ttft_s AS ttft_s, c.attempts AS attempts,
    r.requests AS requests, r.prompt_tokens AS prompt_tokens, r.output_tokens AS output_tokens,
    r.output_tokens / nullIf(took_s, 0) AS tokens_per_s,
    e.energy_j AS energy_j, e.energy_j / nullIf(r.output_tokens, 0) AS j_per_token,
    if(c.calls > 0, c.outcome, r.outcome) AS outcome
FROM (
    SELECT count() AS calls, sum(attempts) AS attempts, max(outcome) AS outcome,
        (toUnixTimestamp64Nano(max(finished)) - toUnixTimestamp64Nano(min(arrival))) / 1e9
            AS took_s,
        min(toUnixTimestamp64Nano(first_content) - toUnixTimestamp64Nano(arrival)) / 1e9 AS ttft_s
    FROM llm_gateway_calls WHERE trace_id = {trace:String}
) AS c
CROSS JOIN (
    SELECT count() AS requests, max(q.outcome) AS outcome,
        sum(q.prompt_tokens) AS prompt_tokens, sum(q.output_tokens) AS output_tokens,
        (toUnixTimestamp64Nano(max(finished)) - toUnixTimestamp64Nano(min(arrival))) / 1e9 AS took_s
    FROM llm_requests AS q WHERE trace_id = {trace:String}
) AS r
CROSS JOIN (
    SELECT sumOrNull(energy_mj) / 1000 AS energy_j
    FROM llm_request_energy WHERE trace_id = {trace:String}
) AS e
WHERE c.calls + r.requests > 0
