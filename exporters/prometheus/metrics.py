"""Prometheus metrics, made from `otel_llm.conventions.Metric`."""

from collections.abc import Iterable
from typing import cast

from prometheus_client import CollectorRegistry

from otel_llm.conventions import ALL_METRICS, Layer, Metric
from otel_llm.exporters.prometheus.family import Family, Kind
from otel_llm.exporters.prometheus.series import Counter, Gauge, Histogram, Series

_KINDS: dict[str, type[Series]] = {"counter": Counter, "gauge": Gauge, "histogram": Histogram}


class MetricSet:
    """All metrics of some layers, in one registry.

    Args:
        layers: which layers' metrics to make.
        registry: where to register them; a fresh one if None.

    Attributes:
        families: all of them, in the order of their declarations.
    """

    def __init__(self, layers: Iterable[Layer], registry: CollectorRegistry | None = None) -> None:
        self.registry = registry if registry is not None else CollectorRegistry()
        wanted = frozenset(layers)
        self.families = [
            Family(metric, _KINDS[metric.kind]) for metric in ALL_METRICS if metric.layer in wanted
        ]
        self._by_name = {family.metric.name: family for family in self.families}
        for family in self.families:
            self.registry.register(family)

    def counter(self, metric: Metric) -> Family[Counter]:
        """The counters of this declaration."""
        return self._get(metric, Counter)

    def gauge(self, metric: Metric) -> Family[Gauge]:
        """The gauges of this declaration."""
        return self._get(metric, Gauge)

    def histogram(self, metric: Metric) -> Family[Histogram]:
        """The histograms of this declaration."""
        return self._get(metric, Histogram)

    def _get(self, metric: Metric, kind: type[Kind]) -> Family[Kind]:
        family = self._by_name[metric.name]
        if family.kind is not kind:
            message = f"{metric.name} is declared as a {metric.kind}, not a {kind.__name__}"
            raise TypeError(message)
        return cast("Family[Kind]", family)
