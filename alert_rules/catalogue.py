"""Every series that a rule may name: ours, and other engines' under one name each."""

import difflib
import math
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

import msgspec

from otel_llm.alert_rules import document
from otel_llm.conventions import ALL_METRICS, ALL_SIGNALS, Signal
from otel_llm.conventions.label_values import LABEL_VALUES

OURS = "otel_llm"
SOURCES = Path(__file__).parent / "sources"
SCRAPED = frozenset({"instance", "job"})
"""Labels that every scrape adds."""


class Series(NamedTuple):
    """A metric as a rule sees it.

    Attributes:
        name: its name.
        kind: counter, gauge or histogram.
        labels: its labels, those of a scrape included.
        buckets: upper bounds of a histogram, in seconds where it is of time.
        values: all values of those labels whose values are known.
    """

    name: str
    kind: str
    labels: frozenset[str]
    buckets: tuple[float, ...] = ()
    values: Mapping[str, frozenset[str]] = {}


class Native(msgspec.Struct, forbid_unknown_fields=True):
    """A signal as an engine itself names it.

    Attributes:
        metric: its name for it.
        buckets: a histogram's upper bounds, in its own unit.
        scale: what makes its unit ours: 0.001 of milliseconds.
        only: label to a regular expression of the series that count.
        set: labels to add, with their values.
        labels: labels to carry over under another name, ours to theirs.
    """

    metric: str
    buckets: list[float] = []
    scale: float = 1.0
    only: dict[str, str] = {}
    set: dict[str, str] = {}
    labels: dict[str, str] = {}


class Source(msgspec.Struct, forbid_unknown_fields=True):
    """An engine or gateway whose own metrics are made like the others'.

    Attributes:
        source: its name.
        doc: what must be switched on, and where its names come from.
        labels: our label to its own.
        signals: its names, by ours without `llm:` and unit (`ttft`).
    """

    source: str
    doc: str
    labels: dict[str, str]
    signals: dict[str, list[Native]]


def short(signal: Signal) -> str:
    """`ttft` of `llm:ttft_seconds`."""
    name = signal.name.removeprefix("llm:")
    for ending in ("_total", "_seconds", "_ratio"):
        name = name.removesuffix(ending)
    return name


@cache
def signals() -> Mapping[str, Signal]:
    """Every signal by its short name."""
    return {short(signal): signal for signal in ALL_SIGNALS}


@cache
def sources(folder: Path = SOURCES) -> Mapping[str, Source]:
    """Every source by name.

    Raises:
        SpecError: a file is wrong.
    """
    found = {}
    for path in sorted(folder.glob("*.yaml")):
        told = document.read(path)[0]
        source = told.convert(Source)
        for name in source.signals:
            if name not in signals():
                remedy = f"Known: {', '.join(signals())}"
                where = f"$.signals.{name}"
                raise told.error(where, f"`{name}` is no signal", remedy)
        found[source.source] = source
    return found


@cache
def ours() -> Mapping[str, Series]:
    """Every metric of the conventions by name."""
    return {
        metric.name: Series(
            metric.name,
            metric.kind,
            frozenset(metric.labels) | SCRAPED,
            metric.buckets,
            LABEL_VALUES.get(metric.name, {}),
        )
        for metric in ALL_METRICS
    }


def find(metric: str, source: str = OURS) -> Series:
    """The series of a metric.

    Args:
        metric: its name in the conventions, or of a signal: `ttft`.
        source: whose it is.

    Raises:
        LookupError: there is none; the message says what is near, as a remedy.
    """
    if source != OURS and source not in sources():
        message = f"`{source}` is no source|Known: {OURS}, {', '.join(sources())}"
        raise LookupError(message)
    known = ours() if source == OURS else _of(sources()[source])
    if metric not in known:
        near = difflib.get_close_matches(metric, known, 1, 0.5)
        remedy = f"Did you mean `{near[0]}`" if near else f"Known: {', '.join(sorted(known))}"
        message = f"{source} has no metric `{metric}`|{remedy}"
        raise LookupError(message)
    return known[metric]


def _of(source: Source) -> dict[str, Series]:
    found = {}
    for name, natives in source.signals.items():
        signal = signals()[name]
        labels = {*signal.labels, *source.labels, *SCRAPED, "source"}
        labels.update(*(native.labels for native in natives))
        buckets = tuple(edge * natives[0].scale for edge in natives[0].buckets)
        values = _values(natives)
        found[name] = Series(signal.name, signal.kind, frozenset(labels), buckets, values)
    return found


def _values(natives: list[Native]) -> dict[str, frozenset[str]]:
    """What labels a signal's series are given; as they are if they are only copied."""
    if len(natives) == 1 and not natives[0].set:
        return dict(LABEL_VALUES.get(natives[0].metric, {}))
    labels = {label for native in natives for label in native.set}
    return {
        label: frozenset(native.set[label] for native in natives if label in native.set)
        for label in labels
    }


def edge(series: Series, threshold: float) -> float | None:
    """The bucket edge that a threshold is; None if it lies between two."""
    return next((one for one in series.buckets if math.isclose(one, threshold, rel_tol=1e-4)), None)


def nearest_edges(series: Series, threshold: float) -> tuple[float, ...]:
    """The edges on both sides of a threshold."""
    below = [one for one in series.buckets if one < threshold]
    above = [one for one in series.buckets if one > threshold]
    return (*below[-1:], *above[:1])
