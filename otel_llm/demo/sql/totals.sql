-- Totals of a run.
SELECT
    (SELECT count() FROM llm_steps) AS steps,
    (SELECT count() FROM llm_kernels) AS kernels,
    (SELECT arraySort(groupUniqArray(toString(source))) FROM llm_kernels) AS kernel_sources,
    (SELECT sum(prompt_tokens) FROM llm_requests) AS prompt_tokens,
    (SELECT sum(output_tokens) FROM llm_requests) AS output_tokens,
    (SELECT quantileExact(0.5)((toUnixTimestamp64Nano(first_content) - toUnixTimestamp64Nano(arrival)) / 1e9)
     FROM llm_gateway_calls WHERE outcome = 'finished' AND stream) AS ttft_caller_p50_s,
    (SELECT quantileExact(0.5)((toUnixTimestamp64Nano(first_output) - toUnixTimestamp64Nano(arrival)) / 1e9)
     FROM llm_requests WHERE outcome = 'finished') AS ttft_engine_p50_s,
    (SELECT quantileExact(0.95)((toUnixTimestamp64Micro(inserted) * 1000 - toUnixTimestamp64Nano(finished)) / 1e9)
     FROM llm_requests) AS finish_to_row_p95_s
