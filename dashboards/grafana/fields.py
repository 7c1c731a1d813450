"""How values are shown: units, colours, limits, links of single columns."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

Unit = Literal[
    "short", "s", "reqps", "percentunit", "joule", "watt", "bytes", "Bps", "celsius", "hertz",
    "suffix: tok/s", "none", "kwatth", "currencyUSD", "massg",
]  # fmt: skip
Draw = Literal["line", "bars", "points"]

GREEN, AMBER, RED, BLUE, GREY = "green", "orange", "red", "blue", "#8e8e8e"


class Limits(NamedTuple):
    """From which value on something needs a look, and from which it is bad.

    Attributes:
        warn: amber from here on.
        bad: red from here on. Below `warn`, low values are the bad ones.
    """

    warn: float
    bad: float


class Link(NamedTuple):
    """A link from a value.

    Attributes:
        title: what it leads to.
        url: where, with Grafana's variables.
    """

    title: str
    url: str


class Column(NamedTuple):
    """How one column or series is shown that is not like the others.

    Attributes:
        name: its name.
        unit: its unit, if another.
        title: its name for readers; empty for as it is.
        width: of a table's column, in pixels; 0 for as it comes.
        links: from its values.
        color: always this one; empty for the palette's.
        hidden: not shown, but links may use it.
        labels: text by value, for state timelines.
    """

    name: str
    unit: Unit | None = None
    title: str = ""
    width: int = 0
    links: tuple[Link, ...] = ()
    color: str = ""
    hidden: bool = False


def thresholds(limits: Limits | None) -> dict[str, Any]:
    """Grafana's thresholds of some limits; green throughout without any."""
    if limits is None:
        steps: list[tuple[str, float | None]] = [(GREEN, None)]
    elif limits.bad >= limits.warn:
        steps = [(GREEN, None), (AMBER, limits.warn), (RED, limits.bad)]
    else:
        steps = [(RED, None), (AMBER, limits.bad), (GREEN, limits.warn)]
    return {
        "mode": "absolute",
        "steps": [{"color": color, "value": value} for color, value in steps],
    }


def overrides(columns: Sequence[Column]) -> list[dict[str, Any]]:
    """Grafana's field overrides of some columns."""
    return [
        {
            "matcher": {"id": "byName", "options": column.name},
            "properties": list(_properties(column)),
        }
        for column in columns
    ]


def _properties(column: Column) -> list[dict[str, Any]]:
    found: list[tuple[str, Any]] = []
    if column.unit is not None:
        found.append(("unit", column.unit))
    if column.title:
        found.append(("displayName", column.title))
    if column.width:
        found.append(("custom.width", column.width))
    if column.links:
        links = [{"title": link.title, "url": link.url} for link in column.links]
        found.append(("links", links))
    if column.color:
        found.append(("color", {"mode": "fixed", "fixedColor": column.color}))
    if column.hidden:
        found.append(("custom.hidden", True))
    return [{"id": name, "value": value} for name, value in found]
