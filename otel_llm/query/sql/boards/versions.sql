-- Two services side by side, each with 95 % confidence intervals: means by the normal
-- approximation, the share of failures by Wilson's interval.
WITH 1.959964 AS z
SELECT
    toString(service) AS service, any(engine_version) AS version, count() AS requests,
    countIf(outcome IN ('failed', 'engine_died')) AS failed,
    failed / requests AS failed_ratio,
    (failed_ratio + z * z / (2 * requests)) / (1 + z * z / requests) AS middle,
    z * sqrt(failed_ratio * (1 - failed_ratio) / requests + z * z / (4 * requests * requests))
        / (1 + z * z / requests) AS half,
    greatest(0, middle - half) AS failed_low, least(1, middle + half) AS failed_high,
    countIf(ttft IS NOT NULL) AS timed,
    avg(ttft) AS ttft_mean_s,
    z * stddevSamp(ttft) / sqrt(timed) AS ttft_half_s,
    ttft_mean_s - ttft_half_s AS ttft_low_s, ttft_mean_s + ttft_half_s AS ttft_high_s,
    countIf(tpot IS NOT NULL) AS paced,
    avg(tpot) AS tpot_mean_s,
    z * stddevSamp(tpot) / sqrt(paced) AS tpot_half_s,
    tpot_mean_s - tpot_half_s AS tpot_low_s, tpot_mean_s + tpot_half_s AS tpot_high_s
FROM (
    SELECT
        service, engine_version, outcome,
        (toUnixTimestamp64Nano(first_output) - toUnixTimestamp64Nano(arrival)) / 1e9 AS ttft,
        if(output_tokens > 1, (toUnixTimestamp64Nano(last_token)
            - toUnixTimestamp64Nano(first_token)) / 1e9 / (output_tokens - 1), NULL) AS tpot
    FROM llm_requests
    WHERE arrival >= fromUnixTimestamp64Nano({since_ns:Int64})
        AND arrival < fromUnixTimestamp64Nano({until_ns:Int64})
        AND service IN ({stable:String}, {canary:String})
        AND ({tenant:String} = '' OR tenant = {tenant:String})
        AND ({model:String} = '' OR model = {model:String})
)
GROUP BY service
ORDER BY service
LIMIT {limit:UInt32}
