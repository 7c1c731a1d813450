"""The phases of an engine request, cut from its stamps."""

from typing import Literal

import msgspec

from otel_llm.query.rows import Request

PhaseName = Literal["intake", "queue", "prefill", "decode", "delivery", "unexplained"]


class Phase(msgspec.Struct, frozen=True):
    """One phase of a request.

    Attributes:
        name: `unexplained` where a stamp between two others is missing: nobody can say whose the
            time was.
        start_ns, end_ns: wall nanoseconds.
        complete: False if the request ended in it.
    """

    name: PhaseName
    start_ns: int
    end_ns: int
    complete: bool = True


def phases(request: Request) -> list[Phase]:
    """Cut a request into its phases, in order and without gaps, as far as its stamps reach.

    A request that did not finish ended in the phase after its last stamp; while tokens still came,
    that is decode. Delivery is known where the API server, in a process of its own, told its half.
    """
    stamps: list[tuple[PhaseName, int | None]] = [
        ("intake", request.queued_ns),
        ("queue", request.scheduled_ns),
        ("prefill", request.first_token_ns),
        ("decode", request.last_token_ns),
    ]
    found: list[Phase] = []
    cursor: int = request.arrival_ns
    unbroken, following = True, 0
    for place, (name, stamp) in enumerate(stamps):
        if stamp is not None:
            found.append(Phase(name if unbroken else "unexplained", cursor, stamp))
            cursor, following = stamp, place + 1
        unbroken = stamp is not None
    if request.outcome == "finished" and unbroken and request.delivered_tokens is not None:
        found.append(Phase("delivery", cursor, request.finished_ns))
    if request.outcome != "finished" and request.finished_ns > cursor:
        last = stamps[min(following, len(stamps) - 1)][0]
        if found and found[-1].name == last:
            cursor = found.pop().start_ns
        found.append(Phase(last, cursor, request.finished_ns, complete=False))
    return found
