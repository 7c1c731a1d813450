"""Rules and groups of rules, as plain data."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Rule(NamedTuple):
    """A recording rule, or an alert.

    Attributes:
        name: of the series or the alert.
        expr: PromQL.
        labels: to set.
        for_s: how long an alert's condition must hold, in seconds.
        annotations: of an alert; empty for a recording rule.
    """

    name: str
    expr: str
    labels: Mapping[str, str] = {}
    for_s: float = 0.0
    annotations: Mapping[str, str] = {}

    @property
    def is_alert(self) -> bool:
        """Whether it alerts."""
        return bool(self.annotations)


class Group(NamedTuple):
    """Rules that are evaluated one after another.

    Attributes:
        name: unique.
        rules: in order.
        interval_s: between evaluations, in seconds; 0 is the server's own.
    """

    name: str
    rules: Sequence[Rule]
    interval_s: float = 0.0
