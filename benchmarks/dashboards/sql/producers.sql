-- An instance told of itself.
INSERT INTO llm_producers (
    instance_id, service, host, kind, engine, engine_version, model, dp_rank, time, model_version,
    driver_version, cuda_version, boot_id, clock_offset_ns, clock_error_ns)
WITH {instance:UInt64} AS i
SELECT
    lower(hex(MD5(concat('i', toString(i))))), concat('engine-', toString(i % 4)),
    concat('node-', toString(i)), 'engine', 'vllm', '0.32.0', if(i % 3 = 0, 'llama-70b', 'qwen-32b'), 0,
    fromUnixTimestamp64Nano({base_ns:Int64}), '1', '580.95.05', '13.0', 'boot', 1789990000000000000,
    1500
FROM numbers({first:UInt64}, {rows:UInt64})
