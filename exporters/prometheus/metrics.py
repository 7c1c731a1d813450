"""Prometheus metrics, made from `otel_llm.conventions.Metric`."""

from collections.abc import Iterable
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from otel_llm.conventions import ALL_METRICS, Layer, Metric

_Kind = TypeVar("_Kind", Counter, Gauge, Histogram)


class MetricSet:
    """All metrics of some layers, in one registry.

    Args:
        layers: which layers' metrics to make.
        registry: where to register them; a fresh one if None.
    """

    def __init__(self, layers: Iterable[Layer], registry: CollectorRegistry | None = None) -> None:
        self.registry = registry if registry is not None else CollectorRegistry()
        wanted = frozenset(layers)
        self._counters: dict[tuple[str, tuple[str, ...]], Counter] = {}
        self._histograms: dict[tuple[str, tuple[str, ...]], Histogram] = {}
        self._metrics = {
            metric.name: self._make(metric) for metric in ALL_METRICS if metric.layer in wanted
        }

    def counter(self, metric: Metric) -> Counter:
        """The counter of this declaration."""
        return self._get(metric, Counter)

    def gauge(self, metric: Metric) -> Gauge:
        """The gauge of this declaration."""
        return self._get(metric, Gauge)

    def histogram(self, metric: Metric) -> Histogram:
        """The histogram of this declaration."""
        return self._get(metric, Histogram)

    def count(self, metric: Metric, labels: tuple[str, ...], amount: float = 1) -> None:
        """Add to a counter's series, which from then on is there, if at 0.

        For series that are never removed: they are found by their labels alone, which takes a
        fifth of the time.
        """
        series = self._counters.get((metric.name, labels))
        if series is None:
            series = self.counter(metric).labels(*labels)
            self._counters[metric.name, labels] = series
        if amount:
            series.inc(amount)

    def observe(
        self,
        metric: Metric,
        labels: tuple[str, ...],
        value: float,
        exemplar: dict[str, str] | None = None,
    ) -> None:
        """Add a value to a histogram's series; likewise."""
        series = self._histograms.get((metric.name, labels))
        if series is None:
            series = self.histogram(metric).labels(*labels)
            self._histograms[metric.name, labels] = series
        series.observe(value, exemplar)

    def _get(self, metric: Metric, kind: type[_Kind]) -> _Kind:
        made = self._metrics[metric.name]
        if not isinstance(made, kind):
            message = f"{metric.name} is declared as a {metric.kind}, not a {kind.__name__}"
            raise TypeError(message)
        return made

    def _make(self, metric: Metric) -> Counter | Gauge | Histogram:
        if metric.kind == "histogram":
            return Histogram(
                metric.name,
                metric.help,
                metric.labels,
                registry=self.registry,
                buckets=metric.buckets,
            )
        kind = Counter if metric.kind == "counter" else Gauge
        return kind(metric.name, metric.help, metric.labels, registry=self.registry)
