"""From an id, or the beginning of one, to the calls and requests that carry it."""

from typing import TYPE_CHECKING

from otel_llm.query.rows import Match, Request
from otel_llm.query.statements import ask

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

MIN_PREFIX = 4
"""Shortest beginning of an id that is looked up."""

_MOST_MATCHES = 200


def identify(client: "Client", text: str, tenant: str = "") -> list[Match]:
    """Find what an id names.

    A full id beats a beginning, and a call beats the engine requests of its trace, which are part
    of its journey.

    Args:
        client: the store.
        text: a trace, call, span, request, API request or response id, or its first characters.
        tenant: look at this tenant's alone; empty for all.

    Returns:
        One match per journey, newest first. Empty if nothing carries the id.
    """
    if len(text) < MIN_PREFIX:
        return []
    # Whole ids have indexes; beginnings, and spans' ids, cost a scan of the columns.
    found = ask(client, "matches_whole", Match, id=text, tenant=tenant)
    if not found:
        found = ask(client, "matches_begun", Match, id=text, tenant=tenant, limit=_MOST_MATCHES)
    return _one_per_journey([match for match in found if match.value == text] or found)


def _one_per_journey(matches: list[Match]) -> list[Match]:
    calls = {match.call_id: match for match in reversed(matches) if match.kind == "call"}
    traces = {match.trace_id for match in calls.values()}
    direct = {
        journey_key(match): match
        for match in reversed(matches)
        if match.kind == "request" and not (match.trace_id and match.trace_id in traces)
    }
    kept = [*calls.values(), *direct.values()]
    return sorted(kept, key=lambda match: match.time_ns, reverse=True)


def journey_key(match: Match | Request) -> tuple[str, str, int]:
    """What all requests of one API call at an engine share, whichever of its cores served them."""
    if match.api_request_id:
        return match.trace_id, match.api_request_id, 0
    return match.instance_id, "", match.request_index
