"""Which call an engine request belongs to, and which attempt brought it.

The gateway gives each attempt a span id and sends it upstream, so a request whose parent is that
span is the attempt's. A proxy in between puts its own span there; then the trace decides, if it has
one call alone, and the attempt's number that travels in `tracestate`.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from otel_llm.query.rows import Attempt, Call, Request


def owned_requests(
    calls: Iterable[Call], attempts: Iterable[Attempt], requests: Iterable[Request]
) -> dict[str, list[Request]]:
    """Share out engine requests to calls.

    Args:
        calls: all calls of the traces in question.
        attempts: all attempts of those calls.
        requests: requests of those traces.

    Returns:
        The requests of each call id, in the order given. Requests of no call are left out.
    """
    calls = list(calls)
    by_span = {(attempt.trace_id, attempt.span_id): attempt.call_id for attempt in attempts}
    calls_in = Counter(call.trace_id for call in calls)
    sole = {call.trace_id: call.call_id for call in calls if calls_in[call.trace_id] == 1}
    owned: dict[str, list[Request]] = defaultdict(list)
    for request in requests:
        owner = by_span.get((request.trace_id, request.parent_span_id)) or sole.get(
            request.trace_id
        )
        if owner:
            owned[owner].append(request)
    return dict(owned)


def attempt_of(request: Request, attempts: Sequence[Attempt]) -> Attempt | None:
    """The attempt that brought a request; None if neither span nor number tells."""
    for attempt in attempts:
        if attempt.span_id == request.parent_span_id:
            return attempt
    return next((one for one in attempts if one.attempt == request.attempt), None)


def serving_requests(attempts: Sequence[Attempt], requests: Sequence[Request]) -> list[Request]:
    """The requests of the last attempt that has any. Earlier ones were retried: they do not count.

    All requests, where none can be placed under an attempt.
    """
    numbers = {
        id(request): placed.attempt
        for request in requests
        if (placed := attempt_of(request, attempts)) is not None
    }
    if not numbers:
        return list(requests)
    last = max(numbers.values())
    return [request for request in requests if numbers.get(id(request)) == last]
