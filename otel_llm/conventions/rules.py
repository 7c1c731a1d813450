"""Names that recording rules write: of service level objectives, and of engines made alike.

`alert_rules` writes these series, dashboards and alerts read them.
"""

from typing import Literal, NamedTuple

SignalKind = Literal["counter", "gauge", "histogram"]


class Recorded:
    """Series of an objective, each with the labels `slo`, `service` and those it is kept by.

    Names that end in `rate` or `ratio_rate` are followed by their window: `slo:sli_bad:rate5m`.
    """

    BAD = "slo:sli_bad:rate"
    """Bad events per second."""
    TOTAL = "slo:sli_total:rate"
    """Events per second."""
    ERROR = "slo:sli_error:ratio_rate"
    """Share of events that were bad; absent while there are none."""
    OBJECTIVE = "slo:objective:ratio"
    BUDGET = "slo:error_budget:ratio"
    PERIOD_DAYS = "slo:time_period:days"
    CURRENT_BURN = "slo:current_burn_rate:ratio"
    """How many times too fast the budget is spent now: 1 spends it within the period exactly."""
    PERIOD_BURN = "slo:period_burn_rate:ratio"
    REMAINING = "slo:period_error_budget_remaining:ratio"
    """1 is a whole budget, 0 none, below 0 overspent."""
    EXHAUSTION = "slo:budget_exhaustion:seconds"
    """Until the budget is spent, at the rate of the last hour; absent while nothing burns."""


ALL_RECORDED: tuple[str, ...] = tuple(
    value for name, value in vars(Recorded).items() if name.isupper()
)


class Signal(NamedTuple):
    """A measurement that many engines and gateways make, each under a name of its own.

    Attributes:
        name: series that the normalising rules record; a histogram's have the usual endings.
        kind: counter, gauge or histogram.
        labels: beside `source`, `model`, and what the scrape adds.
        help: one sentence.
    """

    name: str
    kind: SignalKind
    labels: tuple[str, ...]
    help: str


class Signals:
    """Every normalised measurement."""

    REQUESTS = Signal("llm:requests_total", "counter", ("outcome",), "Requests that ended.")
    TTFT = Signal("llm:ttft_seconds", "histogram", (), "Time to first token.")
    TPOT = Signal("llm:tpot_seconds", "histogram", (), "Time per output token after the first.")
    DURATION = Signal("llm:duration_seconds", "histogram", (), "Whole requests.")
    QUEUE_TIME = Signal("llm:queue_time_seconds", "histogram", (), "Waiting for the first step.")
    RUNNING = Signal("llm:running", "gauge", (), "Requests in the batch.")
    WAITING = Signal("llm:waiting", "gauge", (), "Requests that wait.")
    KV_USAGE = Signal("llm:kv_usage_ratio", "gauge", (), "Share of the KV cache in use.")
    PREEMPTIONS = Signal("llm:preemptions_total", "counter", (), "Requests put back.")
    CACHE_QUERIES = Signal("llm:cache_queries_total", "counter", (), "Prompt tokens looked up.")
    CACHE_HITS = Signal("llm:cache_hits_total", "counter", (), "Of these, found.")
    OUTPUT_TOKENS = Signal("llm:output_tokens_total", "counter", (), "Tokens made.")


ALL_SIGNALS: tuple[Signal, ...] = tuple(
    value for value in vars(Signals).values() if isinstance(value, Signal)
)
