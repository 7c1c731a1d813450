-- From a request's end to its row in the store, over time, and rows that lack facts.
SELECT
    if({every_ns:Int64} = 0, {since_ns:Int64},
        intDiv(toUnixTimestamp64Nano(arrival), {every_ns:Int64}) * {every_ns:Int64}) AS start_ns,
    count() AS requests, countIf(r.incomplete) AS incomplete,
    quantile(0.5)(dateDiff('microsecond', finished, inserted) / 1e6) AS lag_p50_s,
    quantile(0.95)(dateDiff('microsecond', finished, inserted) / 1e6) AS lag_p95_s
FROM llm_requests AS r
WHERE arrival >= fromUnixTimestamp64Nano({since_ns:Int64})
    AND arrival < fromUnixTimestamp64Nano({until_ns:Int64})
GROUP BY start_ns
ORDER BY start_ns DESC
LIMIT {limit:UInt32}
