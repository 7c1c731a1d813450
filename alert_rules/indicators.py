"""The two expressions that an objective is made of: bad events per second, events per second."""

from typing import NamedTuple

from otel_llm.alert_rules import catalogue, durations, promql
from otel_llm.alert_rules.catalogue import Series
from otel_llm.alert_rules.model import Latency, Ratio, Slo, Value

GENAI_MODEL = "gen_ai_request_model"


class Sli(NamedTuple):
    """What an objective counts, as PromQL.

    Attributes:
        bad: bad events per second.
        total: events per second.
    """

    bad: str
    total: str


def sli(slo: Slo, window: str) -> Sli:
    """The expressions of an objective over a window, for example `5m`. The objective was checked.

    A series of bad events that does not exist yet counts as none.
    """
    indicator = slo.indicator
    if isinstance(indicator, Ratio):
        return _ratio(slo, indicator, window)
    if isinstance(indicator, Latency):
        return _latency(slo, indicator, window)
    return _value(slo, indicator, window)


def _ratio(slo: Slo, indicator: Ratio, window: str) -> Sli:
    series = catalogue.find(indicator.metric, indicator.source)
    only = [*_of(indicator.source), *promql.matchers(indicator.only)]
    total = _rate(slo, series, series.name, only, window)
    bad = [
        _rate(slo, series, series.name, [*only, *promql.matchers(one)], window)
        for one in indicator.bad
    ]
    none = f"{total} * 0"
    return Sli("\n+\n".join(f"({one} or {none})" for one in bad), total)


def _latency(slo: Slo, indicator: Latency, window: str) -> Sli:
    series = catalogue.find(indicator.metric, indicator.source)
    only = [*_of(indicator.source), *promql.matchers(indicator.only)]
    edge = catalogue.edge(series, durations.seconds(indicator.threshold))
    assert edge is not None, "a checked threshold is an edge"  # noqa: S101
    total = _rate(slo, series, f"{series.name}_count", only, window)
    good = _rate(slo, series, f"{series.name}_bucket", [*only, promql.le(edge)], window)
    return Sli(f"{total}\n-\n{good}", total)


def _value(slo: Slo, indicator: Value, window: str) -> Sli:
    """One event per second; it is bad while the value is above its bound."""
    top, bottom = (
        _rate(slo, series, series.name, promql.matchers(part.only), window)
        for part in (indicator.numerator, indicator.denominator)
        for series in [catalogue.find(part.metric)]
    )
    value = f"{top}\n/\n({bottom} > 0)"
    return Sli(f"({value}) > bool {indicator.most:g}", f"({value}) * 0 + 1")


def _rate(slo: Slo, series: Series, name: str, only: list[str], window: str) -> str:
    rate = f"rate({promql.select(name, *only)}[{window}])"
    if "model" in slo.by and "model" not in series.labels and GENAI_MODEL in series.labels:
        rate = promql.renamed(rate, "model", GENAI_MODEL)
    return promql.summed(slo.by, rate)


def _of(source: str) -> list[str]:
    return [] if source == catalogue.OURS else [f'source="{source}"']
