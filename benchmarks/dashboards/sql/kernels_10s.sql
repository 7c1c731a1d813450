-- Ten seconds of one engine instance's device, by kernel: 40 names, as the single kernels have.
INSERT INTO llm_kernels_10s
WITH
    {instance:UInt64} AS i, intDiv(number, 40) AS t, number % 40 AS j, cityHash64(number, i) AS h
SELECT
    lower(hex(MD5(concat('i', toString(i))))), concat('engine-', toString(i % 4)),
    concat('node-', toString(i)), 'vllm', '0.32.0', if(i % 3 = 0, 'llama-70b', 'qwen-32b'), 0, 0,
    'cupti', concat('GPU-', toString(i)),
    fromUnixTimestamp64Nano(toInt64(intDiv({base_ns:Int64}, 10000000000) + t) * 10000000000),
    concat('void cutlass::kernel_', toString(j), '<float>'),
    ['attention', 'collective', 'gemm', 'norm'][1 + j % 4], 3600 + h % 100, 170000000 + h % 20000000,
    10000, 3000000
FROM numbers({first:UInt64}, {rows:UInt64})
