-- Adds the energy of requests to llm_requests_1m, whenever it comes.
CREATE MATERIALIZED VIEW IF NOT EXISTS llm_request_energy_1m_mv TO llm_requests_1m AS
SELECT
    toStartOfMinute(finished) AS minute,
    model,
    tenant,
    service,
    engine,
    engine_version,
    outcome,
    sum(e.energy_mj) AS energy_mj,
    sum(e.prefill_mj) AS prefill_mj,
    sum(e.decode_mj) AS decode_mj
FROM llm_request_energy AS e
GROUP BY minute, model, tenant, service, engine, engine_version, outcome
