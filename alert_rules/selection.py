"""Finds selectors of an objective that select nothing, everything, or an event twice."""

import re
from collections.abc import Iterator
from itertools import combinations
from typing import NamedTuple

from otel_llm.alert_rules.catalogue import Series
from otel_llm.alert_rules.model import Selector, Without

Value = str | list[str] | Without


class Problem(NamedTuple):
    """What is wrong with a selector, and how to mend it.

    Attributes:
        where: path inside the selector or the list of selectors: `.outcome`, `[1]`.
        problem: what is wrong.
        remedy: what to write.
    """

    where: str
    problem: str
    remedy: str


def problems(selector: Selector, series: Series) -> Iterator[Problem]:
    """What is wrong with one selector of a series.

    Args:
        selector: labels and their values.
        series: that it selects from.
    """
    for label, value in selector.items():
        where = f".{label}"
        if not _texts(value):
            yield Problem(where, f"`{label}` has no value", "Name at least one")
        for why in filter(None, map(_no_pattern, _texts(value))):
            yield Problem(where, why, "Mend the value")
        known = series.values.get(label, frozenset())
        if known and not _matching(value, known):
            problem = f"no {series.name} has `{label}` {_shown(value)}"
            yield Problem(where, problem, f"Its values: {', '.join(sorted(known))}")


def bad_problems(bad: list[Selector], by: list[str], series: Series) -> Iterator[Problem]:
    """What is wrong with the selectors of bad events, taken together.

    Args:
        bad: selectors; a series that matches one of them is bad.
        by: labels that budgets are kept by.
        series: that they select from.
    """
    for number, selector in enumerate(bad):
        if not selector:
            yield Problem(f"[{number}]", "every event is bad", "Name the label of bad events")
        for label in sorted({*selector} & {*by}):
            problem = f"budgets are kept by `{label}`, which says what is bad"
            yield Problem(f"[{number}].{label}", problem, "Leave the label out of `by`")
    for (_, first), (number, second) in combinations(enumerate(bad), 2):
        shared = {*first} & {*second}
        if not any(_apart(first[one], second[one], series.values.get(one)) for one in shared):
            problem = "an event can match two selectors and would count twice"
            yield Problem(f"[{number}]", problem, "Give a label of both different values")


def _no_pattern(text: str) -> str | None:
    try:
        re.compile(text)
    except re.error as error:
        return f"{text!r} is no pattern: {error}"
    return None


def _texts(value: Value) -> list[str]:
    if isinstance(value, Without):
        return value.without
    return [re.escape(value)] if isinstance(value, str) else value


def _matches(value: Value, one: str) -> bool:
    found = any(re.fullmatch(text, one) for text in _texts(value))
    return found != isinstance(value, Without)


def _matching(value: Value, known: frozenset[str]) -> set[str]:
    return {one for one in known if _matches(value, one)}


def _apart(first: Value, second: Value, known: frozenset[str] | None) -> bool:
    """Whether no value matches both; texts stand for themselves where values are not known."""
    told = {one for value in (first, second) for one in _plain(value)}
    if not known and isinstance(first, Without) and isinstance(second, Without):
        return False
    return not any(_matches(first, one) and _matches(second, one) for one in known or told)


def _plain(value: Value) -> list[str]:
    return [value] if isinstance(value, str) else _texts(value)


def _shown(value: Value) -> str:
    return "but " * isinstance(value, Without) + "|".join(_plain(value))
