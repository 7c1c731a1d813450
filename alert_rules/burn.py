"""The rules of one objective: recordings per window, its budget, and its alerts."""

from collections.abc import Iterator, Sequence

from otel_llm.alert_rules import durations, indicators
from otel_llm.alert_rules.model import Slo, Value
from otel_llm.alert_rules.rule import Group, Rule
from otel_llm.alert_rules.windows import Pair, scaled
from otel_llm.conventions import Recorded

DIRECT_S = 6 * 3600
"""Longest window whose rates are taken from the counters; longer ones are summed from the shortest,
which is exact as long as windows tile, and far cheaper."""
SLOW_INTERVAL_S = 120.0


class Burn:
    """All rules of an objective.

    Args:
        slo: the objective; it was checked.
        pairs: burn windows for 30 days, scaled here to the objective's period.
        scrape_s: interval of scrapes and evaluations, in seconds.
    """

    def __init__(self, slo: Slo, pairs: Sequence[Pair], scrape_s: float) -> None:
        self.slo = slo
        self.period_s = durations.seconds(slo.period)
        self.pairs = scaled(pairs, self.period_s, scrape_s)
        lengths = {length for pair in self.pairs for length in (pair.short_s, pair.long_s)}
        self.lengths = sorted(lengths | {self.period_s})
        self.direct_s = DIRECT_S if self.period_s >= 86_400 else self.pairs[-1].long_s

    def groups(self) -> tuple[Group, ...]:
        """Its groups; an objective without alerts has recordings alone."""
        name = f"slo-{self.slo.name}"
        quick = [rule for one in self.lengths if one <= self.direct_s for rule in self._window(one)]
        slow = [rule for one in self.lengths if one > self.direct_s for rule in self._window(one)]
        groups = [
            Group(f"{name}-windows", quick),
            Group(f"{name}-budget", [*slow, *self._budget()], self._slow_interval_s),
        ]
        if self.slo.alerts:
            groups.append(Group(f"{name}-alerts", [*self._burns(), *self._no_data()]))
        return tuple(groups)

    @property
    def _slow_interval_s(self) -> float:
        return SLOW_INTERVAL_S if self.period_s >= 86_400 else 0.0

    @property
    def labels(self) -> dict[str, str]:
        """Labels of all its series."""
        return {"slo": self.slo.name, "service": self.slo.service}

    def _window(self, of_s: float) -> Iterator[Rule]:
        window = durations.text(of_s)
        bad, total = f"{Recorded.BAD}{window}", f"{Recorded.TOTAL}{window}"
        of, labels = f'{{slo="{self.slo.name}"}}', self.labels
        direct = of_s <= self.direct_s and not isinstance(self.slo.indicator, Value)
        if direct or of_s == self.lengths[0]:
            sli = indicators.sli(self.slo, window)
            yield Rule(bad, sli.bad, labels)
            yield Rule(total, sli.total, labels)
        else:
            # The shortest window, at steps of its own length: they tile, so nothing counts twice.
            base = durations.text(self.lengths[0])
            for name, shortest in ((bad, Recorded.BAD), (total, Recorded.TOTAL)):
                summed = f"sum_over_time({shortest}{base}{of}[{window}:{base}])"
                yield Rule(name, f"{summed} * {self.lengths[0] / of_s:.9g}", labels)
        yield Rule(f"{Recorded.ERROR}{window}", f"{bad}{of}\n/\n({total}{of} > 0)", labels)

    def _budget(self) -> Iterator[Rule]:
        slo, labels = self.slo, self.labels
        of = f'{{slo="{slo.name}"}}'
        shortest, hour = (durations.text(one) for one in (self.lengths[0], self.pairs[0].long_s))
        period = durations.text(self.period_s)
        yield Rule(Recorded.OBJECTIVE, f"vector({1 - slo.budget:g})", labels)
        yield Rule(Recorded.BUDGET, f"vector({slo.budget:g})", labels)
        yield Rule(Recorded.PERIOD_DAYS, f"vector({self.period_s / 86400:g})", labels)
        yield Rule(
            Recorded.CURRENT_BURN, f"{Recorded.ERROR}{shortest}{of} / {slo.budget:g}", labels
        )
        yield Rule(Recorded.PERIOD_BURN, f"{Recorded.ERROR}{period}{of} / {slo.budget:g}", labels)
        yield Rule(Recorded.REMAINING, f"1 - {Recorded.PERIOD_BURN}{of}", labels)
        yield Rule(
            Recorded.EXHAUSTION,
            f"clamp_min({Recorded.REMAINING}{of}, 0) * {self.period_s:.0f}\n/\n"
            f"({Recorded.ERROR}{hour}{of} / {slo.budget:g} > 0)",
            labels,
        )

    def _burns(self) -> Iterator[Rule]:
        for pair in self.pairs:
            if pair.severity == "critical" and not self.slo.page:
                continue
            yield self._burn(pair)

    def _burn(self, pair: Pair) -> Rule:
        slo, of = self.slo, f'{{slo="{self.slo.name}"}}'
        long, short = durations.text(pair.long_s), durations.text(pair.short_s)
        threshold = f"{pair.factor * slo.budget:.6g}"
        conditions = [
            f"{Recorded.ERROR}{long}{of} > {threshold}",
            f"{Recorded.ERROR}{short}{of} > {threshold}",
        ]
        if not isinstance(slo.indicator, Value):
            # A few bad events at night are no reason to wake somebody.
            bad = f"{Recorded.BAD}{long}{of} * {pair.long_s:.0f}"
            conditions.append(f"{bad} >= {slo.least_bad_events}")
        return Rule(
            slo.alert_name,
            "\nand\n".join(conditions),
            {**self.labels, "severity": pair.severity, "category": "slo", "window": long},
            pair.for_s,
            self._annotations(pair, long),
        )

    def _annotations(self, pair: Pair, long: str) -> dict[str, str]:
        slo = self.slo
        who = " ".join(f"{{{{ $labels.{label} }}}}" for label in slo.by) or slo.service
        exhausted = self._looked_up(Recorded.EXHAUSTION, "humanizeDuration", "not soon")
        burn = self._looked_up(Recorded.CURRENT_BURN, 'printf "%.1f"', "unknown")
        return {
            "summary": f"{slo.title}: {who} burns its budget {pair.factor:g} times too fast",
            "description": (
                f"{{{{ $value | humanizePercentage }}}} of events were bad over {long}; the "
                f"objective allows {100 * slo.budget:g} % over {slo.period}. Burning now at "
                f"{burn} times the sustainable rate; the budget is spent in {exhausted}."
            ),
            "cause": slo.cause,
            "board": slo.board,
        }

    def _looked_up(self, series: str, shown: str, otherwise: str) -> str:
        """A template that asks for a series of the alert's own labels."""
        matchers = ",".join(f"{label}='%s'" for label in ("slo", *self.slo.by))
        values = " ".join(f"$labels.{label}" for label in ("slo", *self.slo.by))
        query = f'printf "{series}{{{matchers}}}" {values} | query'
        return (
            f"{{{{ with {query} }}}}{{{{ . | first | value | {shown} }}}}"
            f"{{{{ else }}}}{otherwise}{{{{ end }}}}"
        )

    def _no_data(self) -> Iterator[Rule]:
        slo, base = self.slo, durations.text(self.lengths[0])
        if isinstance(slo.indicator, Value):
            return  # without traffic it has no value, which is no fault
        yield Rule(
            f"{slo.alert_name.removesuffix('Burn')}NoData",
            f'absent({Recorded.TOTAL}{base}{{slo="{slo.name}"}})',
            {**self.labels, "severity": "warning", "category": "slo"},
            durations.seconds(slo.no_data_for),
            {
                "summary": f"{slo.title}: nothing is measured",
                "description": "No series of its metric exists, so that nothing would alert.",
                "cause": "The metric is not scraped or was renamed, or nobody has called yet.",
                "board": slo.board,
            },
        )
