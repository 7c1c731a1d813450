"""Burn windows: how much budget may go in which time before somebody is told.

The numbers are data (`windows/*.yaml`); factors are computed from them, never typed.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from otel_llm.alert_rules import document, durations

Severity = Literal["critical", "warning"]
DEFAULT = Path(__file__).parent / "windows" / "google-30d.yaml"
SCRAPE_S = 30.0
"""The scrape interval that is planned with."""
FEWEST_SCRAPES = 4
"""A rate needs two samples; with four, one lost scrape does no harm."""


class _Pair(msgspec.Struct, forbid_unknown_fields=True):
    severity: Severity
    budget_percent: float
    long: str
    short: str
    wait: str = msgspec.field(name="for")


class _File(msgspec.Struct, forbid_unknown_fields=True):
    source: str
    period: str
    windows: list[_Pair]


class Pair(NamedTuple):
    """A long window that tells how much was burnt, and a short one that tells it still burns.

    Attributes:
        severity: critical pages, warning makes a ticket.
        budget: share of the period's budget that may go in the long window.
        long_s, short_s: lengths in seconds.
        for_s: how long the condition must hold, in seconds.
        period_s: the period that `budget` is of, in seconds.
    """

    severity: Severity
    budget: float
    long_s: float
    short_s: float
    for_s: float
    period_s: float

    @property
    def factor(self) -> float:
        """Burn rate at which `budget` goes in the long window; 1 lasts the period exactly."""
        return self.budget * self.period_s / self.long_s

    def least_detection_s(self, budget: float, error_share: float) -> float:
        """Least time from the first error to the condition, in seconds; infinite if it never holds.

        Args:
            budget: share of events that may be bad, 1 - objective.
            error_share: share of events that are bad from now on.
        """
        threshold = self.factor * budget
        return math.inf if error_share <= threshold else self.long_s * threshold / error_share


def load(path: Path = DEFAULT) -> tuple[Pair, ...]:
    """The windows of a file.

    Raises:
        SpecError: the file is wrong, or a short window is not shorter than its long one.
    """
    told = document.read(path)[0]
    file = told.convert(_File)
    pairs = []
    for number, each in enumerate(file.windows):
        try:
            long_s, short_s = durations.seconds(each.long), durations.seconds(each.short)
            for_s = durations.seconds(each.wait)
            period_s = durations.seconds(file.period)
        except ValueError as error:
            remedy = "Mend this window"
            where = f"$.windows[{number}]"
            raise told.error(where, str(error), remedy) from error
        pair = Pair(each.severity, each.budget_percent / 100, long_s, short_s, for_s, period_s)
        if not pair.short_s < pair.long_s < period_s:
            problem = f"{each.short}, {each.long}, {file.period} do not grow"
            remedy = "The short window is the shortest, the period the longest"
            where = f"$.windows[{number}]"
            raise told.error(where, problem, remedy)
        pairs.append(pair)
    return tuple(pairs)


def scaled(pairs: Sequence[Pair], period_s: float, scrape_s: float = SCRAPE_S) -> tuple[Pair, ...]:
    """The windows for another period: as much longer or shorter as the period is.

    Factors stay as they are. No window is shorter than four scrapes.

    Args:
        pairs: windows of one period.
        period_s: the other period, in seconds.
        scrape_s: interval of scrapes and evaluations, in seconds.
    """
    least_s = FEWEST_SCRAPES * scrape_s
    made = []
    for pair in pairs:
        scale = period_s / pair.period_s
        short_s = max(_whole(pair.short_s * scale, scrape_s), least_s)
        long_s = max(_whole(pair.long_s * scale, scrape_s), 2 * short_s)
        budget = pair.factor * long_s / period_s
        for_s = _whole(pair.for_s * scale, scrape_s)
        made.append(Pair(pair.severity, budget, long_s, short_s, for_s, period_s))
    return tuple(made)


def _whole(of_s: float, step_s: float) -> float:
    """A length rounded to whole steps."""
    return round(of_s / step_s) * step_s
