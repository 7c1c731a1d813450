"""PromQL, made from the declared metrics: a name or label that is not declared cannot be asked."""

from collections.abc import Sequence

from otel_llm.conventions import Metric
from otel_llm.dashboards.grafana.targets import Prom

_WINDOW = "$__rate_interval"
_CHOSEN = {"model": "model", "gen_ai_request_model": "model", "tenant": "tenant",
           "service_name": "service"}  # fmt: skip
"""Labels that a board's variable narrows, and which."""


def rate(metric: Metric, *by: str, legend: str = "", **only: str) -> Prom:
    """Per second, summed.

    Args:
        metric: a counter.
        *by: labels to keep.
        legend: name of a series; its labels if empty.
        **only: pattern that a label must match.
    """
    return Prom(rate_text(metric, *by, **only), legend or _legend(by))


def rate_text(metric: Metric, *by: str, **only: str) -> str:
    """The expression of `rate`."""
    return f"{_sum(metric, by)} (rate({metric.name}{_selector(metric, only)}[{_WINDOW}]))"


def increase(metric: Metric, *by: str, legend: str = "", **only: str) -> Prom:
    """How much a counter grew in the board's time range; one value."""
    grown = f"increase({metric.name}{_selector(metric, only)}[$__range])"
    return Prom(f"{_sum(metric, by)} ({grown})", legend or _legend(by), instant=True)


def value(metric: Metric, *by: str, how: str = "sum", legend: str = "", **only: str) -> Prom:
    """A gauge, or a counter's sum so far.

    Args:
        metric: the gauge.
        *by: labels to keep.
        how: the aggregation.
        legend: name of a series; its labels if empty.
        **only: pattern that a label must match.
    """
    text = f"{_sum(metric, by, how)} ({metric.name}{_selector(metric, only)})"
    return Prom(text, legend or _legend(by))


def ever(metric: Metric, *by: str, legend: str) -> Prom:
    """The greatest of a gauge, where it was above 0 at some moment of the board's time range.

    Args:
        metric: the gauge.
        *by: labels to keep.
        legend: name of a series.
    """
    chosen = f"{metric.name}{_selector(metric, {})}"
    most = _sum(metric, by, "max")
    return Prom(f"{most} ({chosen}) and {most} (max_over_time({chosen}[$__range])) > 0", legend)


def quantile(level: float, metric: Metric, *by: str, legend: str = "") -> Prom:
    """A quantile of a histogram, with exemplars.

    Args:
        level: from 0 to 1.
        metric: a histogram.
        *by: labels to keep.
        legend: name of a series; the quantile and its labels if empty.
    """
    named = legend or f"p{level * 100:g}" + "".join(f" {{{{{label}}}}}" for label in by)
    return Prom(quantile_text(level, metric, *by), named, exemplars=True)


def quantile_text(level: float, metric: Metric, *by: str) -> str:
    """The expression of `quantile`."""
    _declared(metric, by)
    buckets = f"rate({metric.name}_bucket{_selector(metric, {})}[{_WINDOW}])"
    return f"histogram_quantile({level:g}, sum by ({', '.join(('le', *by))}) ({buckets}))"


def buckets(metric: Metric) -> Prom:
    """A histogram's buckets over time, for a heatmap, with exemplars."""
    grown = f"increase({metric.name}_bucket{_selector(metric, {})}[{_WINDOW}])"
    return Prom(f"sum by (le) ({grown})", "{{le}}", exemplars=True, shape="heatmap")


def recorded(series: str, how: str, *by: str) -> Prom:
    """A series that recording rules write.

    Args:
        series: its name, of `Recorded`.
        how: the aggregation.
        *by: labels to keep.
    """
    return Prom(f"{how} by ({', '.join(by)}) ({series})", _legend(by))


def alerts() -> Prom:
    """Alerts that are pending or firing, as Prometheus keeps them of its own."""
    text = "count by (alertname, severity, alertstate, slo) (ALERTS)"
    return Prom(text, instant=True, shape="table")


def ratio(above: str, below: str, legend: str) -> Prom:
    """One expression over another; nothing where there is nothing to divide by."""
    return Prom(f"({above}) / ({below} > 0)", legend)


def _sum(metric: Metric, by: Sequence[str], how: str = "sum") -> str:
    _declared(metric, by)
    return f"{how} by ({', '.join(by)})" if by else how


def _declared(metric: Metric, labels: Sequence[str]) -> None:
    if strangers := set(labels) - set(metric.labels):
        message = f"{metric.name} has no label {', '.join(sorted(strangers))}"
        raise ValueError(message)


def _selector(metric: Metric, only: dict[str, str]) -> str:
    """What a board's variables and a panel choose."""
    _declared(metric, tuple(only))
    chosen = [
        f'{label}=~"${_CHOSEN[label]}"'
        for label in metric.labels
        if label in _CHOSEN and label not in only
    ]
    return "{" + ", ".join([*chosen, *(f'{name}=~"{text}"' for name, text in only.items())]) + "}"


def _legend(by: Sequence[str]) -> str:
    return " ".join(f"{{{{{label}}}}}" for label in by)
