"""Where a call's time went: its duration cut into parts that add up to it exactly.

The cuts are stamps of the gateway and of the request that ended last. They are put in order, and
held inside the call, so that two hosts' clocks cannot make a part negative. What no stamp accounts
for is `unexplained`, never somebody's.
"""

from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

from otel_llm.query.ownership import attempt_of
from otel_llm.query.phases import phases
from otel_llm.query.rows import Attempt, Call, Request

PartName = Literal[
    "gateway",
    "failed_attempts",
    "intake",
    "queue",
    "prefill",
    "decode",
    "delivery",
    "unexplained",
]

PARTS: dict[PartName, str] = {
    "gateway": "in the gateway, and on the way to the engine",
    "failed_attempts": "in attempts that failed, and waits before the next",
    "intake": "in the engine's API server, before the queue",
    "queue": "in the engine's queue",
    "prefill": "from the first step to the core first token",
    "decode": "from the core first token to the last",
    "delivery": "from the last token to the last byte sent",
    "unexplained": "no stamp accounts for it",
}


class Part(msgspec.Struct, frozen=True):
    """One part of a duration, in nanoseconds."""

    name: PartName
    duration_ns: int


class Breakdown(msgspec.Struct, frozen=True, kw_only=True):
    """A duration and its parts.

    Attributes:
        total_ns: the call's duration; without a call, the requests'.
        parts: every part once, in the order of `PARTS`. They add up to `total_ns`.
        request_id: the request whose stamps made the cuts; empty if none was known.
    """

    total_ns: int
    parts: list[Part]
    request_id: str = ""


Cut = tuple[PartName, int]
"""A part and the stamp at which it ends, in wall nanoseconds."""


def break_down(
    call: Call | None, attempts: Sequence[Attempt], serving: Sequence[Request]
) -> Breakdown:
    """Cut a call's duration into parts.

    Args:
        call: the caller's view; None if unknown.
        attempts: its tries, in order.
        serving: engine requests of the attempt that served it.
    """
    last = max(serving, key=lambda one: one.finished_ns, default=None)
    if call is None and last is None:
        return Breakdown(total_ns=0, parts=[Part(name, 0) for name in PARTS])
    if call is not None:
        start, end = call.arrival_ns, call.finished_ns
    else:
        start, end = min(one.arrival_ns for one in serving), max(one.finished_ns for one in serving)
    if last is not None and not _is_of_last_attempt(last, attempts):
        last = None
    cuts = [*_gateway_cuts(attempts, last), *_engine_cuts(last)]
    sums = _add_up(start, end, cuts, _tail(last))
    parts = [Part(name, sums[name]) for name in PARTS]
    return Breakdown(
        total_ns=end - start, parts=parts, request_id="" if last is None else last.request_id
    )


def _is_of_last_attempt(request: Request, attempts: Sequence[Attempt]) -> bool:
    placed = attempt_of(request, attempts)
    return placed is None or placed.attempt == attempts[-1].attempt


def _gateway_cuts(attempts: Sequence[Attempt], last: Request | None) -> Iterator[Cut]:
    if not attempts:
        return
    yield "gateway", attempts[0].started_ns
    if last is not None or attempts[-1].outcome != "failed":
        yield "failed_attempts", attempts[-1].started_ns
    else:
        yield "failed_attempts", attempts[-1].finished_ns
    if last is None:
        yield "unexplained", attempts[-1].finished_ns


def _engine_cuts(request: Request | None) -> Iterator[Cut]:
    if request is None:
        return
    yield "gateway", request.arrival_ns
    for phase in phases(request):
        yield phase.name, phase.end_ns


def _tail(last: Request | None) -> PartName:
    """Whose the time after the last cut is."""
    if last is None:
        return "gateway"
    return "delivery" if last.outcome == "finished" and last.last_token_ns else "unexplained"


def _add_up(start: int, end: int, cuts: Sequence[Cut], tail: PartName) -> dict[PartName, int]:
    sums = dict.fromkeys(PARTS, 0)
    cursor = start
    for name, stamp in [*cuts, (tail, end)]:
        place = max(cursor, min(stamp, end))
        sums[name] += place - cursor
        cursor = place
    return sums
