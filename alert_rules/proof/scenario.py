"""A story that a rule is tried on, and its text for promtool."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import yaml

from otel_llm.alert_rules import document, durations

FOLDER = Path(__file__).parent / "scenarios"
INTERVAL_S = 30.0


class Scenario(NamedTuple):
    """Series over time, and whether an alert fires at a time.

    Attributes:
        alert: the alert's name.
        why: what the story is, in a few words.
        fires: whether it must fire, or must not.
        at_s: when it is looked at, in seconds from the beginning.
        series: values of each series in promtool's notation.
        labels: labels that the firing alert must have, beside its name.
        interval_s: between samples, in seconds.
        evaluate_s: between evaluations, in seconds; days take long at a scrape's pace.
    """

    alert: str
    why: str
    fires: bool
    at_s: float
    series: Mapping[str, str]
    labels: Mapping[str, str] = {}
    interval_s: float = INTERVAL_S
    evaluate_s: float = INTERVAL_S

    @property
    def name(self) -> str:
        """For messages."""
        return f"{self.alert} {'fires' if self.fires else 'is quiet'}: {self.why}"


class _Case(msgspec.Struct, forbid_unknown_fields=True):
    why: str
    at: str
    series: dict[str, str]
    labels: dict[str, str] = {}
    interval: str = "30s"


class _Cases(msgspec.Struct, forbid_unknown_fields=True):
    fires: list[_Case]
    quiet: list[_Case] = []


def load(folder: Path = FOLDER) -> tuple[Scenario, ...]:
    """The scenarios of health alerts, in order of files.

    Raises:
        SpecError: a file is wrong.
    """
    found = []
    for path in sorted(folder.glob("*.yaml")):
        told = document.read(path)[0]
        for alert, cases in told.convert(dict[str, _Cases]).items():
            found += [_scenario(alert, one, fires=True) for one in cases.fires]
            found += [_scenario(alert, one, fires=False) for one in cases.quiet]
    return tuple(found)


def _scenario(alert: str, case: _Case, *, fires: bool) -> Scenario:
    return Scenario(
        alert,
        case.why,
        fires,
        durations.seconds(case.at),
        case.series,
        case.labels,
        durations.seconds(case.interval),
        durations.seconds(case.interval),
    )


def promtool(
    scenarios: Sequence[Scenario],
    rule_file: Path,
    groups: Sequence[str],
    versions: Sequence[Mapping[str, str]] = ({},),
) -> str:
    """A unit test file of promtool. All scenarios are evaluated at one interval.

    An alert is looked at through the series `ALERTS`, so that texts may change without the tests.

    Args:
        scenarios: what to try.
        rule_file: where the rules are.
        groups: its groups in the order of evaluation, which promtool would leave to chance.
        versions: further labels of the alert; each version of it is tried.
    """
    (evaluate_s,) = {one.evaluate_s for one in scenarios}
    data = {
        "rule_files": [str(rule_file)],
        "group_eval_order": list(groups),
        "evaluation_interval": durations.text(evaluate_s),
        "tests": [_test(one, versions) for one in scenarios],
    }
    text: str = yaml.safe_dump(data, sort_keys=False, width=10_000)
    return text


def _test(one: Scenario, versions: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    return {
        "name": one.name,
        "interval": durations.text(one.interval_s),
        "input_series": [
            {"series": series, "values": values} for series, values in one.series.items()
        ],
        "promql_expr_test": [_looked_at(one, version) for version in versions],
    }


def _looked_at(one: Scenario, version: Mapping[str, str]) -> dict[str, Any]:
    told = {"alertname": one.alert, "alertstate": "firing", **one.labels, **version}
    matchers = ",".join(f'{label}="{value}"' for label, value in told.items())
    return {
        "expr": f"clamp_max(count(ALERTS{{{matchers}}}), 1) or vector(0)",
        "eval_time": durations.text(one.at_s),
        "exp_samples": [{"labels": "{}", "value": int(one.fires)}],
    }
