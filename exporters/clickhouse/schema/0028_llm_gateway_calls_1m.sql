-- Calls at the gateway by the minute in which they ended.
-- keep 400 days by minute
CREATE TABLE IF NOT EXISTS llm_gateway_calls_1m
(
    minute DateTime('UTC') CODEC(Delta, ZSTD(1)),
    model LowCardinality(String) CODEC(ZSTD(1)),
    tenant LowCardinality(String) CODEC(ZSTD(1)),
    service LowCardinality(String) CODEC(ZSTD(1)),
    outcome LowCardinality(String) CODEC(ZSTD(1)),
    status_code UInt16 CODEC(ZSTD(1)),
    calls SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    attempts SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    prompt_tokens SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    cached_tokens SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    output_tokens SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    ttft_us AggregateFunction(quantilesDD(0.01, 0.5, 0.9, 0.95, 0.99), Int64) CODEC(ZSTD(1)),
    itl_us AggregateFunction(quantilesDD(0.01, 0.5, 0.9, 0.95, 0.99), UInt32) CODEC(ZSTD(1)),
    e2e_us AggregateFunction(quantilesDD(0.01, 0.5, 0.9, 0.95, 0.99), Int64) CODEC(ZSTD(1))
)
ENGINE = AggregatingMergeTree
PARTITION BY toMonday(minute)
ORDER BY (minute, model, tenant, service, outcome, status_code)
SETTINGS index_granularity = 1024, ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1,
    non_replicated_deduplication_window = 10000
