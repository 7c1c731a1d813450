"""Reads objectives from files and refuses those that cannot work, with a remedy."""

import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from otel_llm.alert_rules import (
    catalogue,
    document,
    durations,
    indicators,
    openslo,
    selection,
    windows,
)
from otel_llm.alert_rules.catalogue import Series
from otel_llm.alert_rules.document import Document
from otel_llm.alert_rules.model import Latency, Part, Ratio, Selector, Slo, Value
from otel_llm.errors import SpecError

FOLDER = Path(__file__).parent / "slos"
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


def load(folder: Path = FOLDER, pairs: Sequence[windows.Pair] | None = None) -> tuple[Slo, ...]:
    """All objectives of a folder's `*.yaml` and `*.yml`, in order of files.

    Args:
        folder: where they are; a file is read alone.
        pairs: burn windows that their alerts will use; the default ones if None.

    Raises:
        SpecError: one of them cannot work, or there is none.
    """
    if not folder.exists():
        raise SpecError(str(folder), 1, "is not there", "Name a folder or file of objectives")
    pairs = windows.load() if pairs is None else pairs
    paths = (
        [folder] if folder.is_file() else sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")])
    )
    seen: dict[str, str] = {}
    found = []
    for path in paths:
        for told in document.read(path):
            slo = read(told, pairs)
            if slo.name in seen:
                problem = f"`{slo.name}` is declared in {seen[slo.name]} too"
                raise told.error("$.name", problem, "Give one of them another name")
            seen[slo.name] = f"{path}:{told.line('$.name')}"
            found.append(slo)
    if not found:
        raise SpecError(str(folder), 1, "holds no objective", "Write one; docs/alerts.md shows how")
    return tuple(found)


def read(told: Document, pairs: Sequence[windows.Pair]) -> Slo:
    """One objective, of our own form or OpenSLO.

    Raises:
        SpecError: it cannot work.
    """
    if isinstance(told.data, dict) and "apiVersion" in told.data:
        slo, told = openslo.read(told)
    else:
        slo = told.convert(Slo)
    _check_names(told, slo)
    for path, metric, source, only, labels in _uses(slo):
        series = _find(told, path, metric, source)
        _check_labels(told, path, series, labels)
        _check_selector(told, f"{path}.only", only, series)
    _check_indicator(told, slo)
    _check_factors(told, slo, pairs)
    return slo


def _check_names(told: Document, slo: Slo) -> None:
    if not _NAME.fullmatch(slo.name):
        remedy = "Use lower case, digits and single dashes"
        raise told.error("$.name", f"`{slo.name}` is no name", remedy)
    if not (0 < slo.objective < 100 and slo.budget > 0):
        problem = f"an objective of {slo.objective:.15g} % is impossible"
        raise told.error(
            "$.objective", problem, "Write a percentage between 0 and 100, such as 99.5"
        )
    for field in ("period", "no_data_for"):
        _seconds(told, f"$.{field}", getattr(slo, field))
    if len({*slo.by}) < len(slo.by):
        raise told.error("$.by", "a label is there twice", "Keep one of them")
    if slo.least_bad_events < 0:
        problem = f"{slo.least_bad_events} events are impossible"
        raise told.error("$.least_bad_events", problem, "Write 0 or more")
    for field in ("$.title", "$.service", "$.cause"):
        if "{{" in getattr(slo, field.removeprefix("$.")):
            # Prometheus would read it as a template of the alert.
            raise told.error(field, "`{{` begins a template", "Leave the braces out")


def _seconds(told: Document, path: str, text: str) -> float:
    try:
        return durations.seconds(text)
    except ValueError as error:
        raise told.error(path, str(error), "Mend the duration") from error


def _uses(slo: Slo) -> Iterator[tuple[str, str, str, Selector, set[str]]]:
    """Each metric of an objective: where, its name, its source, its selector, all its labels."""
    indicator, at = slo.indicator, "$.indicator"
    if isinstance(indicator, Value):
        for name in ("numerator", "denominator"):
            part: Part = getattr(indicator, name)
            yield f"{at}.{name}", part.metric, catalogue.OURS, part.only, {*part.only, *slo.by}
        return
    labels = {*indicator.only, *slo.by}
    if isinstance(indicator, Ratio):
        labels.update(*indicator.bad)
    yield at, indicator.metric, indicator.source, indicator.only, labels


def _find(told: Document, path: str, metric: str, source: str) -> Series:
    try:
        return catalogue.find(metric, source)
    except LookupError as error:
        problem, _, remedy = str(error.args[0]).partition("|")
        where = f"{path}.metric"
        raise told.error(where, problem, remedy) from error


def _check_labels(told: Document, path: str, series: Series, labels: set[str]) -> None:
    known = set(series.labels)
    if indicators.GENAI_MODEL in known:
        known.add("model")
    for label in sorted(labels - known):
        where = path if f"{path}.only.{label}" not in told.lines else f"{path}.only.{label}"
        remedy = f"Its labels: {', '.join(sorted(known))}"
        raise told.error(where, f"{series.name} has no label `{label}`", remedy)


def _check_indicator(told: Document, slo: Slo) -> None:
    indicator, at = slo.indicator, "$.indicator"
    if isinstance(indicator, Latency):
        _check_threshold(told, indicator)
        return
    parts = [(f"{at}.metric", indicator.metric, indicator.source)] if isinstance(
        indicator, Ratio
    ) else [
        (f"{at}.{name}.metric", getattr(indicator, name).metric, catalogue.OURS)
        for name in ("numerator", "denominator")
    ]  # fmt: skip
    for path, metric, source in parts:
        kind = catalogue.find(metric, source).kind
        if kind != "counter":
            remedy = "Name a counter, or use kind: latency for a histogram"
            raise told.error(path, f"`{metric}` is a {kind}, events need a counter", remedy)
    if isinstance(indicator, Ratio):
        _check_bad(told, slo, indicator)
    elif not (math.isfinite(indicator.most) and indicator.most > 0):
        where = f"{at}.most"
        raise told.error(where, f"{indicator.most:g} bounds nothing", "Write a number above 0")


def _check_bad(told: Document, slo: Slo, indicator: Ratio) -> None:
    at = "$.indicator.bad"
    if not indicator.bad:
        raise told.error(at, "nothing is bad", "Name the series of bad events")
    series = catalogue.find(indicator.metric, indicator.source)
    for number, selector in enumerate(indicator.bad):
        _check_selector(told, f"{at}[{number}]", selector, series)
    for found in selection.bad_problems(indicator.bad, slo.by, series):
        raise told.error(at + found.where, found.problem, found.remedy)


def _check_selector(told: Document, path: str, selector: Selector, series: Series) -> None:
    for found in selection.problems(selector, series):
        raise told.error(path + found.where, found.problem, found.remedy)


def _check_threshold(told: Document, indicator: Latency) -> None:
    at = "$.indicator"
    series = catalogue.find(indicator.metric, indicator.source)
    if series.kind != "histogram":
        problem = f"`{indicator.metric}` is a {series.kind}, a latency needs a histogram"
        where = f"{at}.metric"
        raise told.error(where, problem, "Name a histogram, or use kind: ratio")
    threshold = _seconds(told, f"{at}.threshold", indicator.threshold)
    if catalogue.edge(series, threshold) is None:
        near = " or ".join(f"{edge:g}s" for edge in catalogue.nearest_edges(series, threshold))
        problem = f"{indicator.threshold} lies between the buckets of {series.name}"
        where = f"{at}.threshold"
        raise told.error(where, problem, f"Choose the edge {near}")


def _check_period(told: Document, slo: Slo, pairs: Sequence[windows.Pair]) -> None:
    """Windows hold some scrapes at least, so in a short period an alert comes after the budget."""
    if all(pair.budget < 1 for pair in windows.scaled(pairs, durations.seconds(slo.period))):
        return
    shortest_s = 2 * windows.FEWEST_SCRAPES * windows.SCRAPE_S * max(one.factor for one in pairs)
    problem = f"within {slo.period} the budget is gone before a window of scrapes is full"
    remedy = f"Write at least {math.ceil(shortest_s / 60) + 1}m"
    raise told.error("$.period", problem, remedy)


def _check_factors(told: Document, slo: Slo, pairs: Sequence[windows.Pair]) -> None:
    """An alert whose burn rate needs more than all events to be bad can never fire."""
    if not slo.alerts:
        return
    _check_period(told, slo, pairs)
    for pair in pairs:
        if pair.severity == "critical" and not slo.page:
            continue
        threshold = pair.factor * slo.budget
        if threshold >= 1:
            most = 100 * (1 - 1 / pair.factor)
            problem = (
                f"the {durations.text(pair.long_s)} alert can never fire: {pair.factor:g} x the "
                f"budget of {100 * slo.budget:g} % is {100 * threshold:g} % of events"
            )
            remedy = f"Raise the objective above {most:.2f} %, set page: false or alerts: false"
            raise told.error("$.objective", problem, remedy)
