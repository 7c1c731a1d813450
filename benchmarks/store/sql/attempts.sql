-- One try for each call, and a failed one before it for every twentieth.
INSERT INTO llm_attempts
WITH
    intDiv(number, 20) * 19 + least(number % 20, 18) AS r, number % 20 = 19 AS failed,
    r % 8 AS i, intDiv(r, 8) AS k, cityHash64(r, 1) AS h,
    lower(hex(MD5(toString(r)))) AS trace,
    {base_ns:Int64} + k * 10 * {step_ns:Int64} AS began
SELECT
    lower(hex(MD5(concat('g', toString(h % 2))))), 'gateway', 'edge',
    lower(hex(MD5(concat('c', toString(r))))), trace, substring(trace, 17, 16),
    if(number % 20 = 18, 2, 1), concat('engine-', toString(i % 4)),
    fromUnixTimestamp64Nano(began - 200000000),
    if(failed, NULL, fromUnixTimestamp64Nano(began + {step_ns:Int64})),
    fromUnixTimestamp64Nano(toInt64(began + (20 + h % 320) * {step_ns:Int64})),
    if(failed, 'failed', 'finished'), if(failed, 503, 200), if(failed, 'http_503', ''), 'closed',
    if(number % 20 = 18, 100000000, 0), 'boot', 1789990000000000000, 1500
FROM numbers({first:UInt64}, {rows:UInt64})
