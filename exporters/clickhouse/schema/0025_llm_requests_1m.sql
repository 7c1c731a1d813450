-- Engine requests by the minute in which they ended, with the energy charged to them.
-- keep 400 days by minute
CREATE TABLE IF NOT EXISTS llm_requests_1m
(
    minute DateTime('UTC') CODEC(Delta, ZSTD(1)),
    model LowCardinality(String) CODEC(ZSTD(1)),
    tenant LowCardinality(String) CODEC(ZSTD(1)),
    service LowCardinality(String) CODEC(ZSTD(1)),
    engine LowCardinality(String) CODEC(ZSTD(1)),
    engine_version LowCardinality(String) CODEC(ZSTD(1)),
    outcome LowCardinality(String) CODEC(ZSTD(1)),
    requests SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    incomplete SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    prompt_tokens SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    cached_tokens SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    output_tokens SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    recomputed_tokens SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    rejected_tokens SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    discarded_tokens SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    preemptions SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    energy_mj SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    prefill_mj SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    decode_mj SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    queue_us AggregateFunction(quantilesDD(0.01, 0.5, 0.9, 0.95, 0.99), Int64) CODEC(ZSTD(1)),
    ttft_us AggregateFunction(quantilesDD(0.01, 0.5, 0.9, 0.95, 0.99), Int64) CODEC(ZSTD(1)),
    tpot_us AggregateFunction(quantilesDD(0.01, 0.5, 0.9, 0.95, 0.99), Int64) CODEC(ZSTD(1)),
    e2e_us AggregateFunction(quantilesDD(0.01, 0.5, 0.9, 0.95, 0.99), Int64) CODEC(ZSTD(1))
)
ENGINE = AggregatingMergeTree
PARTITION BY toMonday(minute)
ORDER BY (minute, model, tenant, service, engine, engine_version, outcome)
SETTINGS index_granularity = 1024, ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1,
    non_replicated_deduplication_window = 10000
