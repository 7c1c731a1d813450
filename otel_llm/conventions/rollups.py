"""Rollups: one-minute sums and quantile states, which the store makes from the fact tables.

A row is not final: the rest of its minute may stand in other rows. Read sums with `sum`, states
with `quantilesDDMerge(0.01, 0.5, 0.99)`. States hold microseconds, because ClickHouse's DD sketch
keeps its 1 % only for values above 1 (ADR 7).
"""

from otel_llm.conventions.columns import LC, Column, Table

SKETCH = "quantilesDD(0.01, 0.5, 0.9, 0.95, 0.99)"
"""The aggregate function of every quantile state: relative error 1 %."""

_MINUTE = Column("minute", "DateTime('UTC')", "the minute in which it ended")
_GROUP = (Column("model", LC, "model asked for"), Column("tenant", LC, "tenant tag"))


def _sum(name: str, doc: str) -> Column:
    return Column(name, "SimpleAggregateFunction(sum, UInt64)", doc)


def _state(name: str, doc: str, values: str = "Int64") -> Column:
    return Column(name, f"AggregateFunction({SKETCH}, {values})", doc)


class Rollups:
    """The rollups, in the order of their keys, sums and states."""

    REQUESTS = Table("llm_requests_1m", "engine requests by the minute of their end", (
        _MINUTE, *_GROUP,
        Column("service", LC, "deployment"),
        Column("engine", LC, "engine software"),
        Column("engine_version", LC, "its version"),
        Column("outcome", LC, "finished, cancelled, failed, engine_died"),
        _sum("requests", "engine requests"),
        _sum("incomplete", "of these, with facts lost"),
        _sum("prompt_tokens", "tokens of the prompts"),
        _sum("cached_tokens", "of these, served from the prefix cache"),
        _sum("output_tokens", "tokens generated"),
        _sum("recomputed_tokens", "computed again after preemptions"),
        _sum("rejected_tokens", "speculative tokens computed and rejected"),
        _sum("discarded_tokens", "scheduled past the prompt, result thrown away"),
        _sum("preemptions", "how often a request lost its place"),
        _sum("energy_mj", "energy charged"),
        _sum("prefill_mj", "of that, in prefill"),
        _sum("decode_mj", "of that, in decode"),
        _state("queue_us", "from entering the queue to the first step"),
        _state("ttft_us", "TTFT_engine"),
        _state("tpot_us", "a request's mean time per output token after the first"),
        _state("e2e_us", "from arrival to the end"),
    ))  # fmt: skip
    CALLS = Table("llm_gateway_calls_1m", "calls at the gateway by the minute of their end", (
        _MINUTE, *_GROUP,
        Column("service", LC, "the gateway's deployment"),
        Column("outcome", LC, "finished, cancelled, failed, shed, gateway_died"),
        Column("status_code", "UInt16", "HTTP status sent; 0 for none"),
        _sum("calls", "API calls"),
        _sum("attempts", "tries at an upstream"),
        _sum("prompt_tokens", "from the responses' usage"),
        _sum("cached_tokens", "from the responses' usage"),
        _sum("output_tokens", "from the responses' usage"),
        _state("ttft_us", "TTFT_caller"),
        _state("itl_us", "each time between two content chunks", "UInt32"),
        _state("e2e_us", "from receiving the call to its last byte"),
    ))  # fmt: skip


ALL_ROLLUPS: tuple[Table, ...] = tuple(
    value for value in vars(Rollups).values() if isinstance(value, Table)
)
