"""Families: series by their labels."""

import pytest
from prometheus_client import CollectorRegistry

from otel_llm.conventions import Metrics
from otel_llm.exporters.prometheus import Counter
from otel_llm.exporters.prometheus.family import Family
from otel_llm.exporters.prometheus.series import Gauge


def test_a_series_for_each_set_of_labels() -> None:
    """Asked for again, it is the same one; they stay in the order in which they came."""
    family = Family(Metrics.PREEMPTIONS, Counter)
    late, early = family.labels("z", "s"), family.labels("a", "s")
    assert family.labels("z", "s") is late
    assert family.series() == [(("z", "s"), late), (("a", "s"), early)]


def test_another_number_of_labels() -> None:
    """The error names the metric's labels and those that were given."""
    family = Family(Metrics.PREEMPTIONS, Counter)
    for given in ((), ("a",), ("a", "b", "c")):
        with pytest.raises(ValueError, match=r"has labels \('model', 'service_name'\), not \("):
            family.labels(*given)
    assert family.series() == []


def test_without_labels() -> None:
    """Its one series is there from the start, at 0."""
    ((labels, series),) = Family(Metrics.JOURNALS, Gauge).series()
    assert (labels, series.read().values) == ((), (0,))


def test_removed() -> None:
    """A series that is gone begins anew; one that is not there can be removed."""
    family = Family(Metrics.ENGINE_UP, Gauge)
    family.labels("s", "i").set(1)
    family.remove("s", "i")
    family.remove("s", "i")
    assert family.series() == []
    assert family.labels("s", "i").read().values == (0,)


def test_registered_twice() -> None:
    """The registry knows its names."""
    registry = CollectorRegistry()
    registry.register(Family(Metrics.SERVER_TTFT, Gauge))
    with pytest.raises(ValueError, match="Duplicated"):
        registry.register(Family(Metrics.SERVER_TTFT, Gauge))
