"""What is counted with the same labels.

To count is to append to a list, which no other thread can come between. What waits there is added
up under the series' lock once somebody reads it or the list is long, many at a time; so the lines
of a series on a page are of one moment. Series of `prometheus_client` lock and add each value, and
lock each bucket by itself.
"""

import time
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from itertools import accumulate, repeat
from operator import add
from threading import Lock
from typing import NamedTuple

from prometheus_client.samples import Exemplar

from otel_llm.conventions import Metric
from otel_llm.exporters.prometheus.text import number

MOST_WAITING = 64
"""Values that wait to be added up."""


class Line(NamedTuple):
    """What a line of a series has besides its labels.

    Attributes:
        suffix: of the metric's name.
        bound: upper bound of a bucket, as the page has it; else empty.
    """

    suffix: str
    bound: str = ""


class Reading(NamedTuple):
    """A series at one moment.

    Attributes:
        values: one for each of its lines.
        exemplars: the last one of each line that has one, by the line's place.
    """

    values: Sequence[float]
    exemplars: Mapping[int, Exemplar]


class Series:
    """Numbers with the same labels; `Family.labels` makes them.

    Args:
        metric: its declaration.

    Attributes:
        created_s: when it began, in seconds since the epoch.
        text: its lines with `%s` for each value, and the line of its beginning; None until a page
            needs them.
    """

    __slots__ = ("_exemplars", "_lock", "_waiting", "created_s", "text")
    tells_created = True

    def __init__(self, metric: Metric) -> None:  # noqa: ARG002  for those that have buckets
        self.created_s = time.time()
        self.text: tuple[str, str] | None = None
        self._waiting: list[float] = []
        self._exemplars: dict[int, Exemplar] = {}
        self._lock = Lock()

    @staticmethod
    def lines(metric: Metric) -> list[Line]:
        """The lines of each series of a metric."""
        raise NotImplementedError

    def read(self) -> Reading:
        """What is counted now, with what waited."""
        with self._lock:
            # Others may append meanwhile: a value, then its exemplar. No exemplar goes without its
            # value, and what is taken is taken once.
            exemplars = self._exemplars.copy()
            taken = self._waiting[:]
            del self._waiting[: len(taken)]
            return Reading(self._add(taken), exemplars)

    def _add(self, values: Sequence[float]) -> Sequence[float]:
        """Count values, and give what each line has then; the lock is held."""
        raise NotImplementedError


class Counter(Series):
    """A number that grows."""

    __slots__ = ("_value",)

    def __init__(self, metric: Metric) -> None:
        super().__init__(metric)
        self._value = 0.0

    @staticmethod
    def lines(metric: Metric) -> list[Line]:  # noqa: ARG004  it has no buckets
        """One."""
        return [Line("_total")]

    def inc(self, amount: float = 1, exemplar: dict[str, str] | None = None) -> None:
        """Add an amount, with the labels of its exemplar.

        Raises:
            ValueError: it is below 0.
        """
        if amount < 0:
            message = f"a counter cannot grow by {amount}"
            raise ValueError(message)
        waiting = self._waiting
        waiting.append(amount)
        if exemplar is not None:
            self._exemplars[0] = Exemplar(exemplar, amount, time.time())
        if len(waiting) >= MOST_WAITING:
            self.read()

    def _add(self, amounts: Sequence[float]) -> Sequence[float]:
        self._value = reduce(add, amounts, self._value)
        return (self._value,)


class Gauge(Series):
    """What is now."""

    __slots__ = ("_value",)
    tells_created = False

    def __init__(self, metric: Metric) -> None:
        super().__init__(metric)
        self._value = 0.0

    @staticmethod
    def lines(metric: Metric) -> list[Line]:  # noqa: ARG004  it has no buckets
        """One."""
        return [Line("")]

    def set(self, value: float) -> None:
        """Set it."""
        with self._lock:
            self._value = float(value)

    def inc(self, amount: float = 1) -> None:
        """Add an amount, which may be below 0."""
        with self._lock:
            self._value += amount

    def _add(self, amounts: Sequence[float]) -> Sequence[float]:  # noqa: ARG002  none wait
        return (self._value,)


class Histogram(Series):
    """How many values there were up to each bound, and their sum."""

    __slots__ = ("_bounds", "_counts", "_total")

    def __init__(self, metric: Metric) -> None:
        super().__init__(metric)
        self._bounds = metric.buckets
        self._counts = [0] * (len(metric.buckets) + 1)
        self._total = 0.0

    @staticmethod
    def lines(metric: Metric) -> list[Line]:
        """Buckets, count and sum."""
        bounds = (*metric.buckets, float("inf"))
        buckets = [Line("_bucket", number(bound)) for bound in bounds]
        return [*buckets, Line("_count"), Line("_sum")]

    def observe(self, value: float, exemplar: dict[str, str] | None = None) -> None:
        """Add a value, not NaN (every bucket would count it), with the labels of its exemplar."""
        waiting = self._waiting
        waiting.append(value)
        if exemplar is not None:
            bucket = bisect_left(self._bounds, value)
            self._exemplars[bucket] = Exemplar(exemplar, value, time.time())
        if len(waiting) >= MOST_WAITING:
            self.read()

    def observe_all(self, values: Iterable[float]) -> None:
        """Add values, one after another."""
        self._waiting.extend(values)
        if len(self._waiting) >= MOST_WAITING:
            self.read()

    def _add(self, values: Sequence[float]) -> Sequence[float]:
        counts = self._counts
        for bucket in map(bisect_left, repeat(self._bounds), values):
            counts[bucket] += 1
        self._total = reduce(add, values, self._total)
        up_to = list(accumulate(counts))
        return (*up_to, up_to[-1], self._total)
