"""All series of a metric, as our page and as `prometheus_client` see them."""

from collections.abc import Iterator
from threading import Lock
from typing import Generic, TypeVar

import prometheus_client
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from otel_llm.conventions import Metric
from otel_llm.exporters.prometheus.series import Series
from otel_llm.exporters.prometheus.text import escaped, number

Kind = TypeVar("Kind", bound=Series)


class Family(Collector, Generic[Kind]):
    """The series of a metric, by their labels.

    Args:
        metric: its declaration. Without labels it has its one series from the start.
        kind: of its series.

    Attributes:
        name: what lines' names begin with; a counter's ending is theirs.
    """

    def __init__(self, metric: Metric, kind: type[Kind]) -> None:
        self.metric, self.kind = metric, kind
        self.name = metric.name.removesuffix("_total") if metric.kind == "counter" else metric.name
        self._lines = kind.lines(metric)
        self._series: dict[tuple[str, ...], Kind] = {}
        self._lock = Lock()
        if not metric.labels:
            self.labels()

    def labels(self, *labels: str) -> Kind:
        """The series with these values of labels, in the metric's order; from then on it is there.

        Raises:
            ValueError: the metric has another number of labels.
        """
        return self._series.get(labels) or self._make(labels)

    def remove(self, *labels: str) -> None:
        """Forget the series with these values of labels, if there is one."""
        with self._lock:
            self._series.pop(labels, None)

    def series(self) -> list[tuple[tuple[str, ...], Kind]]:
        """All of them with their labels, in the order in which they came."""
        with self._lock:
            return list(self._series.items())

    def text(self, labels: tuple[str, ...], series: Series) -> tuple[str, str]:
        """A series' lines with `%s` for each value, and the line of its beginning."""
        if series.text is None:
            series.text = self._text(labels, series.created_s)
        return series.text

    def describe(self) -> Iterator[prometheus_client.Metric]:
        """Name and kind, for the registry."""
        yield prometheus_client.Metric(self.name, self.metric.help, self.metric.kind)

    def collect(self) -> Iterator[prometheus_client.Metric]:
        """All series, as the library has them."""
        tells_created = self.kind.tells_created and created_is_told()
        for family in self.describe():
            for labels, series in self.series():
                family.samples += self._samples(labels, series)
                if tells_created:
                    given = dict(zip(self.metric.labels, labels, strict=True))
                    family.samples.append(Sample(f"{self.name}_created", given, series.created_s))
            yield family

    def _make(self, labels: tuple[str, ...]) -> Kind:
        if len(labels) != len(self.metric.labels):
            message = f"{self.metric.name} has labels {self.metric.labels}, not {labels}"
            raise ValueError(message)
        with self._lock:
            return self._series.setdefault(labels, self.kind(self.metric))

    def _samples(self, labels: tuple[str, ...], series: Series) -> Iterator[Sample]:
        given = dict(zip(self.metric.labels, labels, strict=True))
        values, exemplars = series.read()
        for place, (line, value) in enumerate(zip(self._lines, values, strict=True)):
            whose = {**given, "le": line.bound} if line.bound else given
            name = f"{self.name}{line.suffix}"
            yield Sample(name, whose, value, None, exemplars.get(place))

    def _text(self, labels: tuple[str, ...], created_s: float) -> tuple[str, str]:
        given = dict(zip(self.metric.labels, map(escaped, labels), strict=True))
        lines = [
            f"{self.name}{line.suffix}{_braces(given, line.bound)}".replace("%", "%%") + " %s\n"
            for line in self._lines
        ]
        return "".join(lines), f"{self.name}_created{_braces(given)} {number(created_s)}\n"


def _braces(labels: dict[str, str], bound: str = "") -> str:
    """Labels as a line has them, by name; those of a bucket with its bound."""
    whole = {**labels, "le": bound} if bound else labels
    inside = ",".join(f'{name}="{value}"' for name, value in sorted(whole.items()))
    return f"{{{inside}}}" if inside else ""


def created_is_told() -> bool:
    """Whether pages tell when series began: the library has a switch for that."""
    (family,) = prometheus_client.Counter("probe", "", registry=None).collect()
    return any(sample.name == "probe_created" for sample in family.samples)
