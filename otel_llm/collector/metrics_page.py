"""The counters of the way in as a Prometheus page."""

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector
from starlette.responses import Response

from otel_llm.conventions import Metric

Values = Mapping[tuple[str, ...], float]
Read = Callable[[], list[tuple[Metric, Values]]]


class _Counts(Collector):
    def __init__(self, read: Read) -> None:
        self._read = read

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        for metric, values in self._read():
            kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
            family = kind(metric.name, metric.help, labels=metric.labels)
            for labels, value in values.items():
                family.add_metric(labels, value)
            yield family


def page(read: Read) -> Response:
    """The page.

    Args:
        read: gives every metric with its values by labels.
    """
    registry = CollectorRegistry()
    registry.register(_Counts(read))
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
