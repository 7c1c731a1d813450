-- Canary less stable, with a 95 % confidence interval (Welch): 0 inside means no difference shown.
WITH 1.959964 AS z
SELECT measure, stable, canary, canary - stable AS apart, apart - half AS low, apart + half AS high,
    multiIf(n_stable < 30 OR n_canary < 30, 'too few',
        low > 0, 'worse', high < 0, 'better', 'no difference shown') AS verdict
FROM (
    SELECT
        tupleElement(one, 1) AS measure,
        avgIf(value, side = 's') AS stable, avgIf(value, side = 'c') AS canary,
        countIf(side = 's' AND value IS NOT NULL) AS n_stable,
        countIf(side = 'c' AND value IS NOT NULL) AS n_canary,
        z * sqrt(varSampIf(value, side = 's') / n_stable + varSampIf(value, side = 'c') / n_canary)
            AS half
    FROM (
        SELECT
            if(service = {stable:String}, 's', 'c') AS side,
            arrayJoin([
                ('TTFT_engine, s', (toUnixTimestamp64Nano(first_output)
                    - toUnixTimestamp64Nano(arrival)) / 1e9),
                ('time per output token, s', if(output_tokens > 1, (toUnixTimestamp64Nano(last_token)
                    - toUnixTimestamp64Nano(first_token)) / 1e9 / (output_tokens - 1), NULL)),
                ('queue, s', (toUnixTimestamp64Nano(scheduled)
                    - toUnixTimestamp64Nano(queued)) / 1e9),
                ('failures, share', toNullable(toFloat64(outcome IN ('failed', 'engine_died')))),
                ('preemptions per request', toNullable(toFloat64(preemptions)))
            ]) AS one,
            tupleElement(one, 2) AS value
        FROM llm_requests
        WHERE arrival >= fromUnixTimestamp64Nano({since_ns:Int64})
            AND arrival < fromUnixTimestamp64Nano({until_ns:Int64})
            AND service IN ({stable:String}, {canary:String})
            AND ({tenant:String} = '' OR tenant = {tenant:String})
            AND ({model:String} = '' OR model = {model:String})
    )
    GROUP BY measure
)
ORDER BY measure
LIMIT {limit:UInt32}
