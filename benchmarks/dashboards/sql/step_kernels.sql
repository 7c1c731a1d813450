-- What the device did in each step of one engine instance, by class.
INSERT INTO llm_step_kernels (
    instance_id, service, host, engine, engine_version, model, dp_rank, rank, step_seq, source,
    device, start, span_ns, busy_ns, launch_gap_ns, wait_gap_ns, overlap_ns, class, kernels,
    kernel_ns, incomplete, boot_id, clock_offset_ns, clock_error_ns)
WITH
    {instance:UInt64} AS i, number AS s, cityHash64(s, i) AS h,
    {base_ns:Int64} + s * {step_ns:Int64} AS at_ns
SELECT
    lower(hex(MD5(concat('i', toString(i))))), concat('engine-', toString(i % 4)),
    concat('node-', toString(i)), 'vllm', '0.32.0', if(i % 3 = 0, 'llama-70b', 'qwen-32b'), 0, 0, s,
    'cupti', concat('GPU-', toString(i)), fromUnixTimestamp64Nano(toInt64(at_ns)), 49000000 + h % 15000000,
    44000000 + h % 5000000, 3000000, 2000000, h % 1000000, ['attention', 'collective', 'gemm', 'norm'],
    [80, 160, 480, 320], arrayMap(c -> toUInt64(9000000 + cityHash64(c, h) % 2000000), range(4)),
    false, 'boot', 1789990000000000000, 1500
FROM numbers({first:UInt64}, {rows:UInt64})
