"""Metrics made from their declarations."""

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from otel_llm.conventions import ALL_METRICS, Metric, Metrics
from otel_llm.exporters.prometheus import MetricSet
from tests.exporters.prometheus.library import LAYERS


def test_every_declaration_is_a_metric() -> None:
    """Name, kind and help reach the page as declared."""
    made = MetricSet(LAYERS)
    page = generate_latest(made.registry).decode()
    families = {family.name: family for family in text_string_to_metric_families(page)}
    for metric in ALL_METRICS:
        # The parser names a counter's family without its suffix.
        family = families[metric.name.removesuffix("_total")]
        assert (family.type, family.documentation) == (metric.kind, metric.help)


def test_labels_and_buckets() -> None:
    """A histogram has the declared labels and upper bounds, and the one without bound."""
    made = MetricSet(("engine",))
    made.histogram(Metrics.SERVER_TTFT).labels("chat", "e", "m", "t", "gold", "s").observe(0.003)
    samples = {
        (sample.name, sample.labels.get("le")): sample.value
        for family in made.registry.collect()
        for sample in family.samples
        if sample.labels.get("tenant") == "t"
    }
    bounds = [le for name, le in samples if name.endswith("_bucket") and le is not None]
    assert [float(le) for le in bounds] == [*Metrics.SERVER_TTFT.buckets, float("inf")]
    assert samples[f"{Metrics.SERVER_TTFT.name}_bucket", "0.001"] == 0
    assert samples[f"{Metrics.SERVER_TTFT.name}_bucket", "0.005"] == 1


def test_only_the_wanted_layers() -> None:
    """A page holds its own layers alone."""
    made = MetricSet(("gateway",))
    made.counter(Metrics.CALLS)
    with pytest.raises(KeyError):
        made.gauge(Metrics.JOURNALS)


@pytest.mark.parametrize(
    ("metric", "kind"),
    [
        (Metrics.REQUESTS, "gauge"),
        (Metrics.JOURNALS, "counter"),
        (Metrics.SERVER_TTFT, "counter"),
        (Metrics.REQUESTS, "histogram"),
    ],
)
def test_asked_for_as_another_kind(metric: Metric, kind: str) -> None:
    """The error names the metric and both kinds."""
    made = MetricSet(LAYERS)
    with pytest.raises(TypeError, match=f"{metric.name} is declared as a {metric.kind}, not"):
        getattr(made, kind)(metric)


def test_a_registry_of_ones_own() -> None:
    """Metrics can join a registry that is there already."""
    registry = CollectorRegistry()
    assert MetricSet(("agent",), registry).registry is registry


def test_exemplars() -> None:
    """A trace id goes out with its observation where the scraper asks for OpenMetrics."""
    made = MetricSet(("engine",))
    series = made.histogram(Metrics.SERVER_TTFT).labels("chat", "e", "m", "t", "gold", "s")
    series.observe(0.003, {"trace_id": "a" * 32})
    page = generate_openmetrics(made.registry).decode()  # type: ignore[no-untyped-call]
    assert f'# {{trace_id="{"a" * 32}"}} 0.003' in page
    assert "trace_id" not in generate_latest(made.registry).decode()
