-- Steps of one engine instance, 4 to 32 requests in each.
INSERT INTO llm_steps (
    instance_id, service, host, engine, engine_version, model, dp_rank, seq, status, scheduled,
    result, execute_ns, running, waiting, kv_used, kv_total, prefill_tokens, decode_tokens,
    request_index, phase, tokens, context, emitted, drafts, accepted, cudagraph_mode, trace_id,
    span_id, boot_id, clock_offset_ns, clock_error_ns)
WITH
    {instance:UInt64} AS i, number AS s, cityHash64(s, i) AS h, 4 + h % 29 AS b,
    {base_ns:Int64} + s * {step_ns:Int64} AS at_ns,
    toInt64(intDiv(s, 10)) AS newest,
    arrayMap(j -> toUInt64(greatest(0, newest - toInt64(j))), range(b)) AS members,
    s % 10 = 0 AS opens
SELECT
    lower(hex(MD5(concat('i', toString(i))))), concat('engine-', toString(i % 4)),
    concat('node-', toString(i)), 'vllm', '0.32.0', if(i % 3 = 0, 'llama-70b', 'qwen-32b'), 0, s,
    'done', fromUnixTimestamp64Nano(at_ns),
    fromUnixTimestamp64Nano(toInt64(at_ns + {step_ns:Int64} - 20000000 + h % 15000000)),
    9000000 + h % 1000000, b, h % 20, 1000 + h % 8000, 10000, if(opens, 2000, 0),
    if(opens, b - 1, b), members, arrayMap(j -> toUInt8(NOT (opens AND j = 0)), range(b)),
    arrayMap(j -> toUInt32(if(opens AND j = 0, 2000, 1)), range(b)),
    arrayMap(j -> toUInt32(500 + (s - members[j + 1] * 10) + members[j + 1] % 2000), range(b)),
    arrayMap(j -> toUInt32(1), range(b)), [], [], 'FULL', '', '', 'boot', 1789990000000000000, 1500
FROM numbers({first:UInt64}, {rows:UInt64})
