"""The shipped rules in less time: every window and every `for` shorter by one factor."""

import re
from pathlib import Path

import msgspec

from otel_llm.alert_rules import build, durations, render
from otel_llm.alert_rules.model import Slo
from otel_llm.alert_rules.rule import Group, Rule
from otel_llm.alert_rules.windows import Pair, load, scaled

SCALE = 32
"""30 days become 22.5 hours, one hour 112 seconds."""
EVERY_S = 1.0
"""Interval of scrapes and evaluations."""
_WINDOW = re.compile(r"(?<=\[)\d+(?:ms|s|m|h|d)(?=[\]:])|(?<=offset )\d+(?:ms|s|m|h|d)")


def slos() -> tuple[Slo, ...]:
    """The shipped objectives over a shorter period."""
    return tuple(
        msgspec.structs.replace(
            slo, period=_shorter(slo.period), no_data_for=_shorter(slo.no_data_for)
        )
        for slo in build.load()
    )


def pairs(slo: Slo) -> tuple[Pair, ...]:
    """The burn windows that an objective of `slos()` has."""
    return scaled(load(), durations.seconds(slo.period), EVERY_S)


def write(folder: Path) -> None:
    """Write the rules that a drill loads: objectives, health, and our agent's normalised series."""
    for name, groups in build.groups(slos(), scrape_s=EVERY_S).items():
        if name.startswith("normalise") and name != "normalise-agent":
            continue
        parts = groups if name.startswith("slo-") else [_scaled(group) for group in groups]
        (folder / f"{name}.yaml").write_text(render.rule_file(parts), encoding="utf-8")


def _scaled(group: Group) -> Group:
    return group._replace(rules=[_rule(rule) for rule in group.rules])


def _rule(rule: Rule) -> Rule:
    expr = _WINDOW.sub(lambda window: _shorter(window[0], 4 * EVERY_S), rule.expr)
    return rule._replace(expr=expr, for_s=rule.for_s / SCALE)


def _shorter(text: str, least_s: float = 0.0) -> str:
    return durations.text(max(durations.seconds(text) / SCALE, least_s))
