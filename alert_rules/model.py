"""What a service level objective is, as plain data."""

import msgspec

from otel_llm.conventions.boards import BoardName


class Without(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Values that a label must not have."""

    without: list[str] = msgspec.field(name="not")


Selector = dict[str, str | list[str] | Without]
"""Label to the value, values, or values not, that its series have."""


class Ratio(msgspec.Struct, frozen=True, tag_field="kind", tag="ratio", forbid_unknown_fields=True):
    """Events of a counter, of which some are bad.

    Attributes:
        metric: the counter.
        bad: selectors of its bad series; a series that matches one of them is bad.
        only: selector of all its series that count; all if empty.
        source: whose metric it is: `otel_llm`, or one of `sources/`.
    """

    metric: str
    bad: list[Selector]
    only: Selector = {}
    source: str = "otel_llm"


class Latency(
    msgspec.Struct, frozen=True, tag_field="kind", tag="latency", forbid_unknown_fields=True
):
    """Events of a histogram; those above a threshold are bad.

    Attributes:
        metric: the histogram.
        threshold: one of its bucket edges, as a duration.
        only, source: as in `Ratio`.
    """

    metric: str
    threshold: str
    only: Selector = {}
    source: str = "otel_llm"


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A counter, or some of its series."""

    metric: str
    only: Selector = {}


class Value(msgspec.Struct, frozen=True, tag_field="kind", tag="value", forbid_unknown_fields=True):
    """Moments in which the rate of one counter per rate of another is above a bound.

    Attributes:
        numerator: for example joules.
        denominator: for example tokens; moments without any do not count.
        most: the bound; moments above it are bad.
    """

    numerator: Part
    denominator: Part
    most: float


class Slo(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One service level objective.

    Attributes:
        name: unique; lower case with dashes.
        title: what is promised, in a few words.
        objective: percent of events that are to be good.
        indicator: what is an event, and which are bad.
        by: labels that budgets are kept by: model, tier, tenant, service_name, instance.
        period: over which the objective is to hold.
        service: the label `service` of its series.
        least_bad_events: fewest bad events in the long window that may alert (minimum traffic).
        page: whether fast burns page; else they are tickets at most.
        alerts: whether it alerts at all.
        no_data_for: after how long without any series somebody is told.
        board: dashboard that shows it.
        cause: what it usually is, for the alert's text.
    """

    name: str
    title: str
    objective: float
    indicator: Ratio | Latency | Value
    by: list[str] = []
    period: str = "30d"
    service: str = "llm"
    least_bad_events: int = 3
    page: bool = True
    alerts: bool = True
    no_data_for: str = "15m"
    board: BoardName = "slo"
    cause: str = ""

    @property
    def budget(self) -> float:
        """Share of events that may be bad."""
        return round(1 - self.objective / 100, 12)

    @property
    def alert_name(self) -> str:
        """`TtftCallerBurn` of `ttft-caller`."""
        return f"{camel(self.name)}Burn"


def camel(name: str) -> str:
    """`TtftCaller` of `ttft-caller`."""
    return "".join(part.capitalize() for part in name.split("-"))
