"""Checks that PromQL names only series and labels that exist, so that a renamed metric breaks here.

It reads words, not grammar; `promtool check rules` does the grammar.
"""

import difflib
import re
from collections.abc import Container, Iterator
from typing import NamedTuple

from otel_llm.alert_rules import catalogue
from otel_llm.conventions import ALL_RECORDED, ALL_SIGNALS

_AND_MORE = ("and", "or", "unless", "offset", "bool", "inf", "nan")
_VECTORS = ("by", "without", "on", "ignoring", "group_left", "group_right")
_KEYWORDS = frozenset((*_AND_MORE, *_VECTORS))
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
_SELECTION = re.compile(r"(?P<name>[a-zA-Z_:][\w:]*)\s*(?:\{(?P<inside>[^}]*)\})?")
_LABEL = re.compile(r"([a-zA-Z_]\w*)\s*(?:=~|!~|!=|=)")
FOREIGN = frozenset(
    {
        "up",
        "ALERTS",
        # ClickHouse's own page, where a server is scraped.
        "ClickHouseAsyncMetrics_MaxPartCountForPartition",
        "ClickHouseAsyncMetrics_ReplicasMaxAbsoluteDelay",
    }
)
"""Series of others that rules may name."""
_ANY = frozenset({"alertname", "alertstate", "severity", "category", "slo", "service", "window"})


class Use(NamedTuple):
    """A series that an expression names.

    Attributes:
        name: its name.
        labels: labels that it is selected by.
    """

    name: str
    labels: tuple[str, ...]


def uses(expr: str) -> Iterator[Use]:
    """Every series that an expression names."""
    plain = _GROUPING.sub(" ", _STRING.sub('""', expr))
    plain = re.sub(r"\[[^\]]*\]", " ", plain)
    for match in _SELECTION.finditer(plain):
        name = match["name"]
        called = plain[match.end() :].lstrip().startswith("(") and match["inside"] is None
        number = match.start() and (
            plain[match.start() - 1].isalnum() or plain[match.start() - 1] == "."
        )
        if name.lower() in _KEYWORDS or called or number:
            continue
        yield Use(name, tuple(_LABEL.findall(match["inside"] or "")))


def problem(expr: str, recorded: Container[str] = ()) -> tuple[str, str] | None:
    """What an expression names that is not there, and the remedy; None if all is.

    Args:
        expr: PromQL.
        recorded: series that rules beside it record.
    """
    for use in uses(expr):
        if use.name in FOREIGN or use.name in recorded or _is_recorded(use.name):
            continue
        labels = _labels(use.name)
        if labels is None:
            near = difflib.get_close_matches(use.name, catalogue.ours(), 1)
            remedy = f"Did you mean `{near[0]}`" if near else "docs/metrics.md lists them"
            return f"no metric is called `{use.name}`", remedy
        strange = sorted(set(use.labels) - labels - {"le", "quantile"} - _ANY)
        if strange:
            known = ", ".join(sorted(labels))
            return f"`{use.name}` has no label `{strange[0]}`", f"Its labels: {known}"
    return None


def _is_recorded(name: str) -> bool:
    return any(name.startswith(recorded) for recorded in ALL_RECORDED)


def _labels(name: str) -> frozenset[str] | None:
    base = re.sub(r"_(bucket|count|sum)$", "", name)
    for one in (name, base):
        if one in catalogue.ours():
            return catalogue.ours()[one].labels
    for signal in ALL_SIGNALS:
        if signal.name in (name, base):
            return catalogue.SCRAPED | {*signal.labels, "source", "model", "service_name"}
    return None
