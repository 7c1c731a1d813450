-- Fills llm_gateway_calls_1m. What a call never reached is in no quantile.
CREATE MATERIALIZED VIEW IF NOT EXISTS llm_gateway_calls_1m_mv TO llm_gateway_calls_1m AS
SELECT
    toStartOfMinute(finished) AS minute,
    model,
    tenant,
    service,
    outcome,
    ifNull(c.status_code, 0) AS status_code,
    count() AS calls,
    sum(c.attempts) AS attempts,
    sum(ifNull(c.prompt_tokens, 0)) AS prompt_tokens,
    sum(ifNull(c.cached_tokens, 0)) AS cached_tokens,
    sum(ifNull(c.output_tokens, 0)) AS output_tokens,
    quantilesDDStateIf(0.01, 0.5, 0.9, 0.95, 0.99)(
        assumeNotNull(dateDiff('us', arrival, first_content)),
        isNotNull(first_content)
    ) AS ttft_us,
    quantilesDDStateArray(0.01, 0.5, 0.9, 0.95, 0.99)(inter_chunk_us) AS itl_us,
    quantilesDDState(0.01, 0.5, 0.9, 0.95, 0.99)(dateDiff('us', arrival, finished)) AS e2e_us
FROM llm_gateway_calls AS c
GROUP BY minute, model, tenant, service, outcome, status_code
