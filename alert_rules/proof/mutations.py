"""Rules that are wrong on purpose: each condition both ways, each `for` too long and gone."""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from otel_llm.alert_rules.rule import Group, Rule

HUGE = "1e18"
_CONDITION = re.compile(
    r"(?P<how>>=|<=|==|>|<)(?P<more>\s*(?:on \([^)]*\) group_left\s*)?)"
    r"(?P<number>\d+(?:\.\d+)?(?:e\d+)?)"
)
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')


MUTANT = "mutant"
"""Label that tells a broken alert from the others in one group."""


class Mutation(NamedTuple):
    """One alert, broken in one way.

    Attributes:
        mark: value of the label `MUTANT` of its alert.
        alert: the alert's name.
        what: what was changed.
        rules: the broken alert, behind the recording that it reads if that is what was broken.
    """

    mark: str
    alert: str
    what: str
    rules: tuple[Rule, ...]


def mutations(group: Group) -> tuple[Mutation, ...]:
    """Every mutation of a group's alerts, and of the recordings beside them that they read."""
    made = [
        (rule, alert, what, broken)
        for rule in group.rules
        for alert in group.rules
        if alert.is_alert and (rule is alert or (not rule.is_alert and rule.name in alert.expr))
        for what, broken in _broken(rule)
    ]
    return tuple(_mutation(str(number), *each) for number, each in enumerate(made))


def together(group: Group, made: Sequence[Mutation]) -> Group:
    """One group with all broken alerts side by side, and none of the sound ones.

    The recordings are evaluated once for all of them, which is what takes the time.
    """
    records = [rule for rule in group.rules if not rule.is_alert]
    return group._replace(rules=[*records, *(rule for one in made for rule in one.rules)])


def _mutation(mark: str, rule: Rule, alert: Rule, what: str, broken: Rule) -> Mutation:
    labels = {**alert.labels, MUTANT: mark}
    if rule is alert:
        return Mutation(mark, alert.name, what, (broken._replace(labels=labels),))
    record = broken._replace(name=f"{rule.name}:{MUTANT}{mark}")
    reader = alert._replace(expr=alert.expr.replace(rule.name, record.name), labels=labels)
    return Mutation(mark, alert.name, f"{what} in {rule.name}", (record, reader))


def _broken(rule: Rule) -> Iterator[tuple[str, Rule]]:
    # Numbers inside strings are labels, not conditions.
    plain = _STRING.sub(lambda string: " " * len(string[0]), rule.expr)
    for match in _CONDITION.finditer(plain):
        for name, condition in _conditions(match["how"], match["more"]):
            expr = rule.expr[: match.start()] + condition + rule.expr[match.end() :]
            yield f"{match[0]} {name}", rule._replace(expr=expr)
    if rule.for_s:
        yield f"for {rule.for_s:g} s too long", rule._replace(for_s=rule.for_s * 1000)
        yield f"for {rule.for_s:g} s gone", rule._replace(for_s=0)


def _conditions(how: str, more: str) -> Iterator[tuple[str, str]]:
    """A comparison that never holds, and one that always does."""
    never, always = (HUGE, f"-{HUGE}") if how in (">", ">=") else (f"-{HUGE}", HUGE)
    yield "never", f"{how if how != '==' else '>'}{more}{HUGE if how == '==' else never}"
    yield "always", f"{how if how != '==' else '<'}{more}{always}"
