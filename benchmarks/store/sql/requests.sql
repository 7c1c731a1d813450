-- Requests of 8 engine instances, one for each ten steps of its instance, of 200 tenants.
INSERT INTO llm_requests (
    instance_id, service, host, engine, engine_version, model, dp_rank, request_index, request_id,
    api_request_id, trace_id, span_id, parent_span_id, tenant, tier, attempt, operation, arrival,
    queued, scheduled, first_token, first_output, last_token, finished, outcome, finish_reason,
    error_type, prompt_tokens, cached_tokens, output_tokens, recomputed_tokens, max_tokens,
    preemptions, sample_index, sample_count, incomplete, boot_id, clock_offset_ns, clock_error_ns)
WITH
    number % 8 AS i, intDiv(number, 8) AS k, cityHash64(number, 1) AS h,
    lower(hex(MD5(toString(number)))) AS trace,
    {base_ns:Int64} + k * 10 * {step_ns:Int64} AS began,
    toInt64(-log((1 + h % 1000000) / 1000001) * 2e8) AS queue,
    20 + h % 320 AS output, 50 + intDiv(h, 7) % 4000 AS prompt,
    began + {step_ns:Int64} AS first, first + (output - 1) * {step_ns:Int64} AS last
SELECT
    lower(hex(MD5(concat('i', toString(i))))), concat('engine-', toString(i % 4)),
    concat('node-', toString(i)), 'vllm', '0.32.0', if(number % 3 = 0, 'llama-70b', 'qwen-32b'),
    0, k, concat('cmpl-', trace, '-0'), concat('cmpl-', trace), trace,
    substring(trace, 1, 16), substring(trace, 17, 16),
    concat('tenant-', toString(toUInt32(pow(200, intDiv(h, 11) % 1000000 / 1e6)))), 'gold', 1, 'chat',
    fromUnixTimestamp64Nano(began - queue - 2000000), fromUnixTimestamp64Nano(began - queue),
    fromUnixTimestamp64Nano(began), fromUnixTimestamp64Nano(first),
    fromUnixTimestamp64Nano(first + 500000), fromUnixTimestamp64Nano(toInt64(last)),
    fromUnixTimestamp64Nano(toInt64(last) + 800000), if(h % 50 = 0, 'cancelled', 'finished'), 'stop',
    '', prompt, if(h % 3 = 0, intDiv(prompt, 2), 0), output, if(h % 200 = 0, 500, 0), 4096,
    h % 200 = 0, 0, 1, false, 'boot', 1789990000000000000, 1500
FROM numbers({first:UInt64}, {rows:UInt64})
