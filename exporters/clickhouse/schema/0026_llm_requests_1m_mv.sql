-- Fills llm_requests_1m from requests. What a request never reached is in no quantile.
CREATE MATERIALIZED VIEW IF NOT EXISTS llm_requests_1m_mv TO llm_requests_1m AS
SELECT
    toStartOfMinute(finished) AS minute,
    model,
    tenant,
    service,
    engine,
    engine_version,
    outcome,
    count() AS requests,
    countIf(r.incomplete) AS incomplete,
    sum(r.prompt_tokens) AS prompt_tokens,
    sum(r.cached_tokens) AS cached_tokens,
    sum(r.output_tokens) AS output_tokens,
    sum(r.recomputed_tokens) AS recomputed_tokens,
    sum(r.rejected_tokens) AS rejected_tokens,
    sum(r.discarded_tokens) AS discarded_tokens,
    sum(r.preemptions) AS preemptions,
    quantilesDDStateIf(0.01, 0.5, 0.9, 0.95, 0.99)(
        assumeNotNull(dateDiff('us', queued, scheduled)),
        isNotNull(queued) AND isNotNull(scheduled)
    ) AS queue_us,
    quantilesDDStateIf(0.01, 0.5, 0.9, 0.95, 0.99)(
        assumeNotNull(dateDiff('us', arrival, first_output)),
        isNotNull(first_output)
    ) AS ttft_us,
    quantilesDDStateIf(0.01, 0.5, 0.9, 0.95, 0.99)(
        intDivOrZero(assumeNotNull(dateDiff('us', first_token, last_token)), r.output_tokens - 1),
        isNotNull(first_token) AND isNotNull(last_token) AND r.output_tokens > 1
    ) AS tpot_us,
    quantilesDDState(0.01, 0.5, 0.9, 0.95, 0.99)(dateDiff('us', arrival, finished)) AS e2e_us
FROM llm_requests AS r
GROUP BY minute, model, tenant, service, engine, engine_version, outcome
