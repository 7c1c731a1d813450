-- How fast calls burn an objective's error budget: 1 spends it exactly in the objective's time.
-- Counted by the minute; a call that its caller gave up or asked wrongly counts only if it had missed
-- before that.
-- Burn rates look back before the time that is asked for; the budget is of that time alone.
SELECT * FROM (
SELECT
    toInt64(minute_s) * 1000000000 AS start_ns, counted, bad,
    sum(bad) OVER w5 / nullIf(sum(counted) OVER w5, 0) / (1 - {target:Float64}) AS burn_5m,
    sum(bad) OVER w60 / nullIf(sum(counted) OVER w60, 0) / (1 - {target:Float64}) AS burn_1h,
    sum(bad) OVER w360 / nullIf(sum(counted) OVER w360, 0) / (1 - {target:Float64}) AS burn_6h,
    1 - sum(bad * asked) OVER so_far / nullIf(sum(counted * asked) OVER so_far, 0) AS good_so_far,
    1 - (1 - good_so_far) / (1 - {target:Float64}) AS budget_left
FROM (
    SELECT
        toUInt32(intDiv(came, 60000000000) * 60) AS minute_s,
        minute_s * 1000000000 > {since_ns:Int64} - 60000000000 AS asked,
        countIf(NOT excused OR missed) AS counted,
        countIf((NOT excused AND outcome != 'finished') OR missed) AS bad
    FROM (
        SELECT
            outcome, (outcome = 'cancelled'
                OR ifNull(status_code, 0) IN (400, 401, 403, 404, 405, 409, 413, 415, 422)) AS excused,
            toUnixTimestamp64Nano(arrival) AS came,
            toUnixTimestamp64Nano(finished) AS ended,
            ifNull(toUnixTimestamp64Nano(first_content), ended) AS first,
            ifNull(toUnixTimestamp64Nano(last_content), first) AS last,
            ({ttft_s:Float64} > 0 AND first - came > {ttft_s:Float64} * 1e9)
                OR ({itl_s:Float64} > 0
                    AND last - first > {itl_s:Float64} * 1e9 * (greatest(chunks, 1) - 1))
                OR ({e2e_s:Float64} > 0 AND ended - came > {e2e_s:Float64} * 1e9) AS missed
        FROM llm_gateway_calls
        WHERE arrival >= fromUnixTimestamp64Nano({since_ns:Int64} - 21600000000000)
            AND arrival < fromUnixTimestamp64Nano({until_ns:Int64})
            AND ({tenant:String} = '' OR tenant = {tenant:String})
            AND ({model:String} = '' OR model = {model:String})
    )
    GROUP BY minute_s
)
WINDOW
    w5 AS (ORDER BY minute_s RANGE BETWEEN 299 PRECEDING AND CURRENT ROW),
    w60 AS (ORDER BY minute_s RANGE BETWEEN 3599 PRECEDING AND CURRENT ROW),
    w360 AS (ORDER BY minute_s RANGE BETWEEN 21599 PRECEDING AND CURRENT ROW),
    so_far AS (ORDER BY minute_s ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
)
WHERE start_ns > {since_ns:Int64} - 60000000000
ORDER BY start_ns DESC
LIMIT {limit:UInt32}
