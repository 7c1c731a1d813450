"""Stories for burn alerts, told from an objective and its windows, not from its rules."""

import math
from collections.abc import Container, Iterator, Sequence

from otel_llm.alert_rules import catalogue, durations, indicators
from otel_llm.alert_rules.model import Latency, Ratio, Selector, Slo, Value, Without
from otel_llm.alert_rules.proof.profile import Piece, counter
from otel_llm.alert_rules.proof.scenario import Scenario
from otel_llm.alert_rules.windows import Pair

RATE = 2.0
"""Events per second; enough for no guard to matter."""


_EVALUATE = ((3_600, 60.0), (21_600, 240.0), (86_400, 600.0), (math.inf, 900.0))
"""Evaluations for a long window up to so many seconds, each so many seconds apart."""


class Story(list[tuple[float, float, float]]):
    """Pieces of (seconds, good events per second, bad events per second)."""


def scenarios(slo: Slo, pairs: Sequence[Pair]) -> Iterator[Scenario]:
    """When an objective's alerts must fire, and when not.

    Args:
        slo: the objective.
        pairs: its burn windows.
    """
    for pair in pairs:
        if pair.severity == "warning" or slo.page:
            yield from _burns(slo, pair)
    if not isinstance(slo.indicator, Value):
        yield from _no_data(slo)


def _burns(slo: Slo, pair: Pair) -> Iterator[Scenario]:
    """Just over the threshold it fires once it can, below never; a burn that is over is quiet."""
    threshold = pair.factor * slo.budget
    share = min(1.25 * threshold, (1 + threshold) / 2)
    least_s = pair.least_detection_s(slo.budget, share)
    # A window that is not yet full knows less than it says: let it fill first.
    clean = (pair.long_s + pair.short_s, RATE, 0.0)
    burning = (4 * pair.long_s, RATE * (1 - share), RATE * share)
    below = (4 * pair.long_s, RATE * (1 - 0.8 * threshold), RATE * 0.8 * threshold)
    start_s, slack_s = clean[0], pair.short_s + 0.05 * pair.long_s
    fire_s = start_s + least_s + pair.for_s + slack_s
    told = f"{durations.text(pair.long_s)} window"
    yield _scenario(slo, pair, f"1.25 x the {told}'s rate", Story([clean, burning]), fire_s, True)
    yield _scenario(
        slo, pair, f"too early for the {told}", Story([clean, burning]),
        start_s + 0.7 * least_s, False,
    )  # fmt: skip
    yield _scenario(
        slo,
        pair,
        f"0.8 x the {told}'s rate",
        Story([clean, below]),
        start_s + 2 * pair.long_s,
        False,
    )
    yield _not_for_long(slo, pair, clean, told)
    over = Story([clean, (least_s + slack_s + pair.for_s, *burning[1:]), (pair.long_s, RATE, 0.0)])
    over_s = fire_s + 1.5 * pair.short_s + pair.for_s
    yield _scenario(slo, pair, f"over, in the {told}", over, over_s, False)
    if isinstance(slo.indicator, Value):
        return
    yield from _guards(slo, pair, clean, told)


def _not_for_long(slo: Slo, pair: Pair, clean: tuple[float, float, float], told: str) -> Scenario:
    """All fail: the condition holds, and has not yet held for the time that the alert waits."""
    least_s = pair.least_detection_s(slo.budget, 1.0)
    story = Story([clean, (least_s + 2 * pair.for_s, 0.0, RATE)])
    evaluate_s = min(pair.for_s / 8, 240.0)  # more than five minutes after, an alert is not seen
    at_s = math.ceil((clean[0] + least_s + pair.for_s / 2) / evaluate_s) * evaluate_s
    made = _scenario(slo, pair, f"not for long enough, {told}", story, at_s, False)
    return made._replace(evaluate_s=evaluate_s, at_s=at_s)


def _guards(
    slo: Slo, pair: Pair, clean: tuple[float, float, float], told: str
) -> Iterator[Scenario]:
    end_s = clean[0] + pair.long_s / 2
    few = (slo.least_bad_events - 1) / pair.long_s
    lonely = Story([(6 * pair.long_s, 0.0, few * 0.9)])
    yield _scenario(
        slo, pair, f"a few bad calls, no others, {told}", lonely, 4 * pair.long_s, False
    )
    reset = Story([clean, (2 * pair.long_s, RATE, 0.0)])
    yield _scenario(slo, pair, f"counters begin anew, {told}", reset, end_s, False, reset=True)


def _no_data(slo: Slo) -> Iterator[Scenario]:
    name = f"{slo.alert_name.removesuffix('Burn')}NoData"
    wait_s = durations.seconds(slo.no_data_for)
    quiet = Story([(2 * wait_s, RATE, 0.0)])
    idle = Story([(2 * wait_s, 0.0, 0.0)])
    yield Scenario(name, "no series at all", True, wait_s + 600, {"up{job='x'}": "1x200"})
    yield Scenario(name, "not for long enough", False, wait_s - 120, {"up{job='x'}": "1x200"})
    yield Scenario(name, "all is well", False, wait_s + 600, series(slo, quiet, 30.0))
    yield Scenario(name, "nobody calls", False, wait_s + 600, series(slo, idle, 30.0))


def _scenario(
    slo: Slo, pair: Pair, why: str, story: Story, at_s: float, fires: bool, *, reset: bool = False
) -> Scenario:
    interval_s = 60.0 if pair.long_s <= 21_600 else 120.0
    evaluate_s = next(step for most_s, step in _EVALUATE if pair.long_s <= most_s)
    if isinstance(slo.indicator, Value):
        evaluate_s = min(evaluate_s, 300.0)  # a bad moment must not fall between two evaluations
    at_s = math.ceil(at_s / evaluate_s) * evaluate_s
    labels = {"window": durations.text(pair.long_s), "severity": pair.severity}
    made = series(slo, story, interval_s, range(len(story)) if reset else ())
    return Scenario(slo.alert_name, why, fires, at_s, made, labels, interval_s, evaluate_s)


def series(
    slo: Slo, story: Story, interval_s: float, resets: Container[int] = ()
) -> dict[str, str]:
    """The series that an objective reads, for a story.

    Args:
        slo: the objective.
        story: what happens.
        interval_s: between samples, in seconds.
        resets: numbers of the pieces at which counters begin anew.
    """
    one = slo.indicator
    pieces = [(*piece, number in resets) for number, piece in enumerate(story)]
    good = [Piece(of_s, ok, reset) for of_s, ok, _, reset in pieces]
    bad = [Piece(of_s, wrong, reset) for of_s, _, wrong, reset in pieces]
    both = [Piece(of_s, ok + wrong, reset) for of_s, ok, wrong, reset in pieces]
    if isinstance(one, Ratio):
        name = catalogue.find(one.metric, one.source).name
        return {
            _named(slo, name, _good_labels(one)): counter(good, interval_s),
            _named(slo, name, _labels({**one.only, **one.bad[-1]})): counter(bad, interval_s),
        }
    if isinstance(one, Latency):
        found = catalogue.find(one.metric, one.source)
        edge = catalogue.edge(found, durations.seconds(one.threshold))
        # As prometheus_client writes it.
        only = _labels(one.only)
        return {
            _named(slo, f"{found.name}_count", only): counter(both, interval_s),
            _named(slo, f"{found.name}_bucket", {**only, "le": str(edge)}): counter(
                good, interval_s
            ),
        }
    return _value(slo, one, story, interval_s)


def _value(slo: Slo, one: Value, story: Story, interval_s: float) -> dict[str, str]:
    """A share of bad moments, dealt out minute by minute: the value is twice its bound, or half."""
    top, owed = [], 0.0
    moment_s = 600.0
    for of_s, ok, wrong in story:
        share = wrong / (ok + wrong)
        for _ in range(round(of_s / moment_s)):
            owed += share
            is_bad = owed >= 0.5
            owed -= is_bad
            top.append(Piece(moment_s, one.most * (2.0 if is_bad else 0.5)))
    whole_s = sum(piece.of_s for piece in top)
    tokens = counter([Piece(whole_s, 1.0)], interval_s)
    return {
        _named(slo, one.numerator.metric, _labels(one.numerator.only)): counter(top, interval_s),
        _named(slo, one.denominator.metric, _labels(one.denominator.only)): tokens,
    }


def _good_labels(one: Ratio) -> dict[str, str]:
    made = _labels(one.only)
    for selector in one.bad:
        for label, value in selector.items():
            made[label] = value.without[0] if isinstance(value, Without) else "finished"
    return made


def _labels(selector: Selector) -> dict[str, str]:
    made = {}
    for label, value in selector.items():
        first = value[0] if isinstance(value, list) else value
        made[label] = "another" if isinstance(first, Without) else first
    return made


def _named(slo: Slo, name: str, labels: dict[str, str]) -> str:
    base = name.removesuffix("_count").removesuffix("_bucket")
    known = catalogue.ours().get(base) or catalogue.ours().get(name)
    genai = known is not None and indicators.GENAI_MODEL in known.labels
    by = {
        indicators.GENAI_MODEL if genai and label == "model" else label: f"a-{label}"
        for label in slo.by
    }
    inside = ",".join(f"{label}='{value}'" for label, value in {**by, **labels}.items())
    return f"{name}{{{inside}}}"
