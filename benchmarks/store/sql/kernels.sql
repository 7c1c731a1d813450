-- Ten kernels in each step of one engine instance, of 40 names.
INSERT INTO llm_kernels
WITH
    {instance:UInt64} AS i, intDiv(number, 10) AS s, number % 10 AS j, cityHash64(number, i) AS h,
    {base_ns:Int64} + s * {step_ns:Int64} + j * 4000000 AS at_ns
SELECT
    lower(hex(MD5(concat('i', toString(i))))), concat('engine-', toString(i % 4)),
    concat('node-', toString(i)), 0, s, 'cupti', concat('GPU-', toString(i)),
    concat('void cutlass::kernel_', toString(j * 4 + h % 4), '<float>'),
    fromUnixTimestamp64Nano(toInt64(at_ns + h % 100000)), 100000 + h % 3000000, 'boot',
    1789990000000000000, 1500
FROM numbers({first:UInt64}, {rows:UInt64})
