"""The receiver's counters as a Prometheus page."""

from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector
from starlette.responses import Response

from otel_llm.conventions import Metric, Metrics

REASONS = ("malformed", "oversize", "media_type", "forbidden", "incomplete", "store_failed")
"""Why a request may be refused."""


class _Counts(Collector):
    def __init__(self, accepted: Mapping[str, int], refused: Mapping[str, int]) -> None:
        self._accepted = accepted
        self._refused = refused

    def collect(self) -> Iterator[CounterMetricFamily]:
        yield _family(Metrics.OTLP_REQUESTS, {(): self._accepted.get("requests", 0)})
        yield _family(Metrics.OTLP_BYTES, {(): self._accepted.get("bytes", 0)})
        yield _family(Metrics.OTLP_REFUSED, {(why,): n for why, n in self._refused.items()})


def page(accepted: Mapping[str, int], refused: Mapping[str, int]) -> Response:
    """The page.

    Args:
        accepted: `requests` and `bytes` stored.
        refused: requests refused, by reason.
    """
    registry = CollectorRegistry()
    registry.register(_Counts(accepted, refused))
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


def _family(metric: Metric, values: Mapping[tuple[str, ...], int]) -> CounterMetricFamily:
    family = CounterMetricFamily(metric.name, metric.help, labels=metric.labels)
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family
