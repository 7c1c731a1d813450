"""Reading the agent's page."""

import pytest

from otel_llm.conventions import Metrics
from otel_llm.demo.evidence import lost_records
from otel_llm.exporters.prometheus import MetricSet


def test_lost_records_are_summed_over_reasons() -> None:
    """Every reason counts."""
    from prometheus_client import generate_latest

    metrics = MetricSet(["agent"])
    metrics.counter(Metrics.LOST_RECORDS).labels("corrupt").inc(2)
    metrics.counter(Metrics.LOST_RECORDS).labels("overwritten").inc(3)
    assert lost_records(generate_latest(metrics.registry).decode()) == 5


def test_a_page_without_the_counter_says_nothing() -> None:
    """An absent counter is not zero."""
    with pytest.raises(ValueError, match="not on the agent's page"):
        lost_records("")
