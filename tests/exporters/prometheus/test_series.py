"""Series: nothing lost or counted twice, whoever counts and reads at the same time."""

import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from otel_llm.conventions import Metrics
from otel_llm.exporters.prometheus import Counter, Histogram
from otel_llm.exporters.prometheus.series import MOST_WAITING, Gauge, Series

TTFT = Metrics.SERVER_TTFT
THREADS, EACH = 4, 3_000


@pytest.fixture
def hurried() -> Iterator[None]:
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def read_while(series: Series, count: Callable[[], None]) -> list[tuple[float, ...]]:
    """What is read while several threads count."""
    threads = [threading.Thread(target=count) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    readings = []
    while any(thread.is_alive() for thread in threads):
        readings.append(tuple(series.read().values))
    return [*readings, tuple(series.read().values)]


@pytest.mark.usefixtures("hurried")
def test_a_histogram_of_many_threads() -> None:
    """Each reading's buckets, count and sum are of one moment, and the last one has them all."""
    series = Histogram(TTFT)

    def observe() -> None:
        for _ in range(EACH):
            series.observe(0.5)

    readings = read_while(series, observe)
    below = [bound < 0.5 for bound in TTFT.buckets]
    for *buckets, count, total in readings:
        assert buckets == [0 if under else count for under in [*below, False]]
        assert total == 0.5 * count
    counts = [reading[-2] for reading in readings]
    assert counts == sorted(counts)
    assert counts[-1] == THREADS * EACH


@pytest.mark.usefixtures("hurried")
def test_a_counter_of_many_threads() -> None:
    """All that was added, once."""
    series = Counter(Metrics.CALLS)

    def count() -> None:
        for _ in range(EACH):
            series.inc(2)

    readings = read_while(series, count)
    assert readings == sorted(readings)
    assert readings[-1] == (2 * THREADS * EACH,)


@pytest.mark.usefixtures("hurried")
def test_a_gauge_of_many_threads() -> None:
    """What comes and goes leaves nothing behind."""
    series = Gauge(Metrics.CALLS_OPEN)

    def come_and_go() -> None:
        for _ in range(EACH):
            series.inc()
            series.inc(-1)

    assert read_while(series, come_and_go)[-1] == (0,)


def test_little_waits() -> None:
    """However much is counted between two readings, memory stays small."""
    histogram, counter = Histogram(TTFT), Counter(Metrics.CALLS)
    for number in range(10 * MOST_WAITING):
        histogram.observe(number)
        counter.inc(number)
        assert len(histogram._waiting) < MOST_WAITING
        assert len(counter._waiting) < MOST_WAITING
    histogram.observe_all(range(10 * MOST_WAITING))
    assert not histogram._waiting
    assert histogram.read().values[-2] == 20 * MOST_WAITING


def test_many_at_once() -> None:
    """The same as one after another."""
    values = [0.0, 0.001, 0.0011, 3, 10, 11]
    one, other = Histogram(TTFT), Histogram(TTFT)
    one.observe_all(values)
    for value in values:
        other.observe(value)
    assert one.read() == other.read()


def test_a_reading_stays() -> None:
    """What is told later does not change it."""
    series = Histogram(TTFT)
    series.observe(0.003, {"trace_id": "a"})
    before = series.read()
    kept = (list(before.values), dict(before.exemplars))
    series.observe(0.003, {"trace_id": "b"})
    series.read()
    assert (list(before.values), before.exemplars) == kept


def test_a_counter_does_not_fall() -> None:
    """The error says by how much it would have."""
    series = Counter(Metrics.CALLS)
    with pytest.raises(ValueError, match="cannot grow by -1"):
        series.inc(-1)
    assert series.read().values == (0,)
