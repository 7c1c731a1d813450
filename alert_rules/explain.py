"""What an alert means in numbers: for people who must trust it, or decide on an objective."""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from otel_llm.alert_rules import durations, windows
from otel_llm.alert_rules.model import Latency, Ratio, Slo, Value
from otel_llm.alert_rules.windows import Pair


class Line(NamedTuple):
    """One burn alert in numbers.

    Attributes:
        severity: critical or warning.
        long, short: its windows.
        factor: burn rate that it needs.
        error_share: share of bad events that it needs.
        budget: share of the period's budget that is gone when it fires.
        least_detection_s: least time to its condition at the error share asked about, in seconds;
            infinite if that share does not reach it.
        for_s: how long the condition must hold on top, in seconds.
    """

    severity: str
    long: str
    short: str
    factor: float
    error_share: float
    budget: float
    least_detection_s: float
    for_s: float


def lines(
    slo: Slo, pairs: Sequence[Pair], error_share: float, scrape_s: float = windows.SCRAPE_S
) -> Iterator[Line]:
    """The burn alerts of an objective; none if it alerts nobody.

    Args:
        slo: the objective.
        pairs: burn windows of 30 days.
        error_share: share of events that are bad, for the detection times.
        scrape_s: interval of scrapes and evaluations, in seconds.
    """
    for pair in (
        windows.scaled(pairs, durations.seconds(slo.period), scrape_s) if slo.alerts else ()
    ):
        if pair.severity == "critical" and not slo.page:
            continue
        yield Line(
            pair.severity,
            durations.text(pair.long_s),
            durations.text(pair.short_s),
            pair.factor,
            pair.factor * slo.budget,
            pair.budget,
            pair.least_detection_s(slo.budget, error_share),
            pair.for_s,
        )


def indicator(slo: Slo) -> str:
    """What an objective counts, in a few words."""
    one = slo.indicator
    if isinstance(one, Latency):
        return f"{one.metric} above {one.threshold} is bad"
    if isinstance(one, Ratio):
        return f"{one.metric}: bad is " + " or ".join(_selector(each) for each in one.bad)
    return f"{one.numerator.metric} per {one.denominator.metric} above {one.most:g} is bad"


def guard(slo: Slo) -> str:
    """What keeps little traffic from alerting, in a few words."""
    if isinstance(slo.indicator, Value):
        return "none: moments without traffic have no value"
    return f"at least {slo.least_bad_events} bad events in the long window"


def _selector(selector: object) -> str:
    from otel_llm.alert_rules import promql

    return ", ".join(promql.matchers(selector))  # type: ignore[arg-type]


def when(line: Line) -> str:
    """The detection time as text."""
    if math.isinf(line.least_detection_s):
        return "never"
    return f"{line.least_detection_s + line.for_s:.0f} s"
