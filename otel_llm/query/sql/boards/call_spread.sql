-- How many finished calls took how long, in steps that double: a histogram's bars.
SELECT
    pow(2, floor(log2(greatest(took_s, 0.001)))) AS from_s,
    from_s * 2 AS to_s,
    concat(toString(round(from_s, 3)), ' to ', toString(round(to_s, 3)), ' s') AS took,
    count() AS calls
FROM (
    SELECT (toUnixTimestamp64Nano(finished) - toUnixTimestamp64Nano(arrival)) / 1e9 AS took_s
    FROM llm_gateway_calls
    WHERE arrival >= fromUnixTimestamp64Nano({since_ns:Int64})
        AND arrival < fromUnixTimestamp64Nano({until_ns:Int64})
        AND outcome = 'finished'
        AND ({tenant:String} = '' OR tenant = {tenant:String})
        AND ({model:String} = '' OR model = {model:String})
)
GROUP BY from_s
ORDER BY from_s
LIMIT {limit:UInt32}
