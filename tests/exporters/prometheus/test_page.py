"""The page is the library's, byte for byte."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.exposition import choose_encoder

from otel_llm.conventions import ALL_METRICS, Layer
from otel_llm.exporters.prometheus import MetricSet
from otel_llm.exporters.prometheus.page import encoder

LAYERS: tuple[Layer, ...] = ("gateway", "engine", "step", "device", "agent", "store")
PLAIN = "text/plain;version=0.0.4"
OPEN = "application/openmetrics-text;version=1.0.0"
ACCEPTS = (
    "", "*/*", PLAIN, OPEN, "application/openmetrics-text", f"{OPEN},{PLAIN};q=0.5",
    f"{OPEN};escaping=allow-utf-8", f"{OPEN};escaping=dots", f"{OPEN};escaping=values",
    "application/openmetrics-text;version=2.0.0", "text/plain;version=1.0.0;escaping=allow-utf-8",
)  # fmt: skip
values = st.floats(0, allow_nan=False) | st.sampled_from([0.0, 1.0, 0.3, 1e7, 1e21])
labels = st.text(max_size=6) | st.sampled_from(['a"b', "a\\b", "a\nb", "ü", "%s", "{}"])


def filled(value: float, label: str) -> MetricSet:
    """Every metric there is, with two series, one of which has an exemplar where one can be."""
    made = MetricSet(LAYERS)
    for metric in ALL_METRICS:
        for text, exemplar in (("", None), (label, {"trace_id": "a" * 32})):
            one = getattr(made, metric.kind)(metric)
            series = one.labels(*[text] * len(metric.labels)) if metric.labels else one
            if isinstance(series, Histogram):
                series.observe(value, exemplar)
            elif isinstance(series, Counter):
                series.inc(value)
            elif isinstance(series, Gauge):
                series.set(value)
    return made


@settings(max_examples=25)
@given(values, labels)
def test_whatever_a_label_holds(value: float, label: str) -> None:
    """In both formats; exemplars stand in one of them alone."""
    registry = filled(value, label).registry
    for accept in (PLAIN, OPEN):
        (ours, content_type), (theirs, its_type) = encoder(accept), choose_encoder(accept)
        assert (ours(registry), content_type) == (theirs(registry), its_type)


@pytest.mark.parametrize("accept", ACCEPTS)
def test_whatever_a_scraper_asks_for(accept: str) -> None:
    """Content type and page; also where names are asked for in another spelling."""
    registry = filled(0.3, 'a"b').registry
    (ours, content_type), (theirs, its_type) = encoder(accept), choose_encoder(accept)
    assert (ours(registry), content_type) == (theirs(registry), its_type)


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan"), -5.5, 12345678])
def test_odd_numbers_of_a_gauge(value: float) -> None:
    """As Go writes them."""
    made = MetricSet(("agent",))
    for metric in ALL_METRICS:
        if metric.kind == "gauge" and metric.layer == "agent" and not metric.labels:
            made.gauge(metric).set(value)
    for accept in (PLAIN, OPEN):
        assert encoder(accept)[0](made.registry) == choose_encoder(accept)[0](made.registry)
