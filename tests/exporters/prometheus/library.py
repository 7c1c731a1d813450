"""The library's own metrics of our declarations, and the same done to them and to ours."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import prometheus_client
from prometheus_client import CollectorRegistry

from otel_llm.conventions import ALL_METRICS, Layer, Metric
from otel_llm.exporters.prometheus import MetricSet

LAYERS: tuple[Layer, ...] = ("gateway", "engine", "step", "device", "agent", "store")
HOW = {"counter": "inc", "gauge": "set", "histogram": "observe"}


class Told(NamedTuple):
    """Something that is counted.

    Attributes:
        label: value of each of the metric's labels.
        value: what is added, set or observed.
        exemplar: its labels, if it has one; gauges have none.
    """

    label: str
    value: float
    exemplar: dict[str, str] | None = None


def ours(told: Sequence[Told], metrics: Sequence[Metric] = ALL_METRICS) -> MetricSet:
    """All of it told to each of the metrics, in ours."""
    made = MetricSet(LAYERS)
    tell(made, told, metrics)
    return made


def tell(made: MetricSet, told: Sequence[Told], metrics: Sequence[Metric]) -> None:
    """Tell ours more."""
    for metric in metrics:
        family = getattr(made, metric.kind)(metric)
        for one in told:
            _tell(metric, family.labels(*[one.label] * len(metric.labels)), one)


def theirs(told: Sequence[Told], metrics: Sequence[Metric] = ALL_METRICS) -> CollectorRegistry:
    """The same, in theirs."""
    registry = CollectorRegistry()
    for metric in ALL_METRICS:
        kind = getattr(prometheus_client, metric.kind.capitalize())
        more: dict[str, Any] = {"buckets": metric.buckets} if metric.kind == "histogram" else {}
        made = kind(metric.name, metric.help, metric.labels, registry=registry, **more)
        for one in told if metric in metrics else ():
            labels = [one.label] * len(metric.labels)
            _tell(metric, made.labels(*labels) if labels else made, one)
    return registry


def _tell(metric: Metric, series: Any, one: Told) -> None:  # noqa: ANN401  ours or theirs
    exemplar = () if metric.kind == "gauge" else (one.exemplar,)
    getattr(series, HOW[metric.kind])(one.value, *exemplar)
