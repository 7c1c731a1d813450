"""The page is the library's, byte for byte."""

from collections.abc import Iterator
from unittest import mock

import prometheus_client
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.exposition import choose_encoder

from otel_llm.conventions import ALL_METRICS
from otel_llm.exporters.prometheus import MetricSet
from otel_llm.exporters.prometheus.page import encoder
from tests.exporters.prometheus.library import Told, ours, tell, theirs

PLAIN = "text/plain;version=0.0.4"
OPEN = "application/openmetrics-text;version=1.0.0"
ACCEPTS = (
    "", "*/*", PLAIN, OPEN, "application/openmetrics-text", f"{OPEN},{PLAIN};q=0.5",
    f"{OPEN};escaping=allow-utf-8", f"{OPEN};escaping=dots", f"{OPEN};escaping=values",
    "application/openmetrics-text;version=2.0.0", "text/plain;version=1.0.0;escaping=allow-utf-8",
)  # fmt: skip
BOUNDS = sorted({bound for metric in ALL_METRICS for bound in metric.buckets})
values = (
    st.floats(0, allow_nan=False)
    | st.integers(0, 1 << 60)
    | st.sampled_from([0.0, 1.0, 0.3, 1e7, 1e21, *BOUNDS])
)
labels = st.text(max_size=6) | st.sampled_from(['a"b', "a\\b", "a\nb", "ü", "%s", "{}", ",,"])
exemplars = st.none() | st.just({"trace_id": "a" * 32}) | st.just({"b": 'q"', "a": "\n"})
SOME = [metric for metric in ALL_METRICS if metric.kind == "histogram"][:4] + [
    next(metric for metric in ALL_METRICS if metric.kind == kind) for kind in ("counter", "gauge")
]


@pytest.fixture(autouse=True, scope="module")
def one_time() -> Iterator[None]:
    """Series begin, and exemplars are told, at the same moment in both."""
    with mock.patch("time.time", return_value=1_700_000_000.125):
        yield


def same(accept: str, told: list[Told], metrics: MetricSet) -> None:
    """Hold both against one another: the page, and what ours give the library."""
    (encode, content_type), (reference, its_type) = encoder(accept), choose_encoder(accept)
    expected = reference(theirs(told))
    assert (encode(metrics), content_type) == (expected, its_type)
    assert reference(metrics.registry) == expected


@settings(max_examples=25, deadline=None)
@given(st.builds(Told, labels, values, exemplars))
def test_whatever_a_label_holds(one: Told) -> None:
    """In both formats; exemplars stand in one of them alone."""
    for accept in (PLAIN, OPEN):
        same(accept, [Told("", 0.3), one], ours([Told("", 0.3), one]))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.builds(Told, st.sampled_from(["", "a", "b"]), values, exemplars), max_size=150))
def test_whatever_is_observed(told: list[Told]) -> None:
    """Buckets, counts, sums as they are rounded, and the last exemplar of each bucket."""
    for accept in (PLAIN, OPEN):
        (encode, _), (reference, _) = encoder(accept), choose_encoder(accept)
        assert encode(ours(told, SOME)) == reference(theirs(told, SOME))


@pytest.mark.parametrize("accept", ACCEPTS)
def test_whatever_a_scraper_asks_for(accept: str) -> None:
    """Content type and page; also where names are asked for in another spelling."""
    told = [Told("", 0.3), Told('a"b', 0.3, {"trace_id": "a" * 32})]
    same(accept, told, ours(told))


@pytest.mark.parametrize("accept", [PLAIN, OPEN])
def test_without_times_of_creation(accept: str) -> None:
    """Whoever switches them off in the library has none in ours."""
    told = [Told("", 0.3)]
    prometheus_client.disable_created_metrics()
    try:
        page, _ = encoder(accept)
        assert b"_created" not in page(ours(told))
        same(accept, told, ours(told))
    finally:
        prometheus_client.enable_created_metrics()


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan"), -5.5, 12345678])
def test_odd_numbers_of_a_gauge(value: float) -> None:
    """As Go writes them."""
    gauges = [metric for metric in ALL_METRICS if metric.kind == "gauge"]
    for accept in (PLAIN, OPEN):
        (encode, _), (reference, _) = encoder(accept), choose_encoder(accept)
        page = encode(ours([Told("", value)], gauges))
        assert page == reference(theirs([Told("", value)], gauges))


def test_a_page_twice() -> None:
    """What is told between two pages stands in the second one."""
    page, _ = encoder(PLAIN)
    told = [Told("a", 1), Told("a", 2)]
    made = ours(told[:1], SOME)
    page(made)
    tell(made, told[1:], SOME)
    assert page(made) == choose_encoder(PLAIN)[0](theirs(told, SOME))
