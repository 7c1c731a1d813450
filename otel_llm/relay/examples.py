"""Which calls show what an alert says: the slowest, and the last that failed."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from otel_llm.alert_rules import durations
from otel_llm.clock import EpochNs
from otel_llm.query.recent import Filter, Listed

SHOWN = 3
"""Traces of each kind."""
LOOKED_AT = 300
"""Newest calls among which failed ones are looked for."""
SHORTEST_S, USUAL_S, LONGEST_S = 900, 3600, 21_600
"""How far back examples are looked for, in seconds; a burn's window says, within these bounds."""
CALLERS = frozenset({"slo", "gateway", "engine"})
"""Categories of alerts that callers suffer from."""

Ask = Callable[[Filter], Sequence[Listed]]


class Examples(NamedTuple):
    """Lines for a message; empty if there is nothing to show.

    Attributes:
        slowest: trace ids with their durations, slowest first.
        failed: trace ids with what became of them, newest first.
    """

    slowest: str
    failed: str


def wanted(labels: Mapping[str, str], now_ns: EpochNs) -> Filter | None:
    """Whose calls an alert is about; None if calls say nothing of it.

    Of engines' alerts `model` may be a service, so they are shown the calls of all models.
    """
    category = labels.get("category", "")
    if category not in CALLERS:
        return None
    return Filter(
        since_ns=EpochNs(max(0, now_ns - _back_s(labels.get("window", "")) * 1_000_000_000)),
        tenant=labels.get("tenant", ""),
        model="" if category == "engine" else labels.get("model", ""),
    )


def examples(ask: Ask, of: Filter) -> Examples:
    """Look for them.

    Args:
        ask: `query.recent.recent` at a store.
        of: what `wanted` said.
    """
    slow = ask(_but(of, slow=True, limit=SHOWN))
    newest = ask(_but(of, slow=False, limit=LOOKED_AT))
    bad = [one for one in newest if one.outcome not in ("finished", "cancelled")][:SHOWN]
    return Examples(
        ", ".join(f"{one.trace_id} ({one.duration_s:.2f} s)" for one in slow),
        ", ".join(f"{one.trace_id} ({_why(one)})" for one in bad),
    )


def _back_s(window: str) -> int:
    try:
        return round(min(max(durations.seconds(window), SHORTEST_S), LONGEST_S))
    except ValueError:
        return USUAL_S


def _but(of: Filter, *, slow: bool, limit: int) -> Filter:
    return Filter(since_ns=of.since_ns, tenant=of.tenant, model=of.model, slow=slow, limit=limit)


def _why(one: Listed) -> str:
    status = "" if one.status_code is None else f" {one.status_code}"
    return f"{one.outcome}{status} {one.error_class}".strip()
