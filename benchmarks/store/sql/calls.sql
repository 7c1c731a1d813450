-- The call of each request at one of two gateways.
INSERT INTO llm_gateway_calls
WITH
    number % 8 AS i, intDiv(number, 8) AS k, cityHash64(number, 1) AS h,
    lower(hex(MD5(toString(number)))) AS trace,
    {base_ns:Int64} + k * 10 * {step_ns:Int64} AS began,
    toInt64(-log((1 + h % 1000000) / 1000001) * 2e8) AS queue,
    20 + h % 320 AS output, began - queue - 5000000 AS came,
    began + {step_ns:Int64} + 2000000 AS first, first + (output - 1) * {step_ns:Int64} AS last
SELECT
    lower(hex(MD5(concat('g', toString(h % 2))))), 'gateway', 'edge',
    lower(hex(MD5(concat('c', toString(number))))), trace, substring(trace, 1, 16), '',
    concat('tenant-', toString(toUInt32(pow(200, intDiv(h, 11) % 1000000 / 1e6)))), 'gold',
    fromUnixTimestamp64Nano(came), fromUnixTimestamp64Nano(first),
    fromUnixTimestamp64Nano(toInt64(last)), fromUnixTimestamp64Nano(toInt64(last) + 1000000),
    'POST', '/v1/chat/completions', 'chat', if(number % 3 = 0, 'llama-70b', 'qwen-32b'),
    multiIf(h % 50 = 0, 'cancelled', h % 101 = 0, 'failed', h % 103 = 0, 'shed', 'finished'),
    multiIf(h % 101 = 0, 502, h % 103 = 0, 429, 200),
    multiIf(h % 50 = 0, 'client_disconnect', h % 101 = 0, 'upstream_read', h % 103 = 0, 'overloaded',
        ''),
    true, 1, output, arrayMap(c -> toUInt32(60000 + cityHash64(c, h) % 20000), range(output - 1)),
    50 + intDiv(h, 7) % 4000, 0, output, 1, concat('cmpl-', trace), 900, 4000, 'boot',
    1789990000000000000, 1500
FROM numbers({first:UInt64}, {rows:UInt64})
