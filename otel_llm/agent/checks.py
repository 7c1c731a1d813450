"""The rules of `rules.py` as functions: one for each field, and one for all of a record.

A record within its rules, as nearly all are, costs one call of one expression. Only where that
fails are its fields looked at one by one.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from otel_llm.agent.rules import ARRAYS, MAX_ITEMS, RULES, SHAPES, WORDS, Rule

Check = Callable[[Any], bool]


class FieldCheck(NamedTuple):
    """One field's.

    Attributes:
        field: its name.
        holds: whether its value is within the rule.
        rule: what is done if not.
    """

    field: str
    holds: Check
    rule: Rule


def _check(expression: str) -> Check:
    """A function of `given`."""
    return eval(f"lambda given: {expression}", dict(WORDS))  # type: ignore[no-any-return]  # noqa: S307  our own text


def _whole(kind: type[msgspec.Struct], rules: Mapping[str, Rule]) -> Check:
    short = [f"len(given.{name}) <= {MAX_ITEMS}" for name in ARRAYS.get(kind, ())]
    others = [rule.holds.format(f"given.{name}") for name, rule in rules.items() if not rule.bits]
    shapes = [rule.holds.format("given") for rule in SHAPES.get(kind, ())]
    return _check(" and ".join([*short, *_numbers(rules), *others, *shapes]))


def _numbers(rules: Mapping[str, Rule]) -> Iterator[str]:
    """Numbers fit into so many bits where all of their bits together do."""
    alike: defaultdict[int, list[str]] = defaultdict(list)
    for name, rule in rules.items():
        if rule.bits:
            alike[rule.bits].append(rule.number.format(f"given.{name}"))
    for bits, numbers in alike.items():
        yield f"0 <= {' | '.join(numbers)} <= {(1 << bits) - 1}"


FIELD_CHECKS: Mapping[type[msgspec.Struct], list[FieldCheck]] = {
    kind: [
        FieldCheck(name, _check(rule.holds.format("given")), rule) for name, rule in rules.items()
    ]
    for kind, rules in RULES.items()
}
"""For each kind of record, in the order of its rules."""

SHAPE_CHECKS: Mapping[type[msgspec.Struct], list[tuple[Check, Rule]]] = {
    kind: [(_check(rule.holds.format("given")), rule) for rule in rules]
    for kind, rules in SHAPES.items()
}
"""The same of what its fields must be to each other."""

HOLDS: Mapping[type[msgspec.Struct], Check] = {
    kind: _whole(kind, rules) for kind, rules in RULES.items()
}
"""For each kind of record: whether all its rules hold, no array of it is too long, and all fit."""
