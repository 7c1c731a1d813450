-- Tries by upstream, and what became of them, most failures first.
WITH arrayMap(q -> if(isNaN(q), NULL, q / 1e9), quantilesBFloat16If(0.5, 0.95)(
        assumeNotNull(toUnixTimestamp64Nano(first_byte)) - toUnixTimestamp64Nano(started),
        first_byte IS NOT NULL)) AS until_byte
SELECT
    if({every_ns:Int64} = 0, {since_ns:Int64},
        intDiv(toUnixTimestamp64Nano(started), {every_ns:Int64}) * {every_ns:Int64}) AS start_ns,
    upstream, count() AS attempts,
    countIf(attempt > 1) AS retries,
    countIf(outcome = 'failed') AS failed,
    countIf(outcome = 'cancelled') AS cancelled,
    failed / attempts AS failed_ratio,
    countIf(breaker NOT IN ('', 'closed')) AS breaker_not_closed,
    sum(backoff_ns) / 1e9 AS backoff_s,
    until_byte[1] AS first_byte_p50_s, until_byte[2] AS first_byte_p95_s,
    sumMapIf(map(toString(error_class), toUInt64(1)), error_class != '') AS classes
FROM llm_attempts
WHERE started >= fromUnixTimestamp64Nano({since_ns:Int64})
    AND started < fromUnixTimestamp64Nano({until_ns:Int64})
GROUP BY start_ns, upstream
ORDER BY start_ns DESC, failed DESC, attempts DESC, upstream
LIMIT {limit:UInt32}
