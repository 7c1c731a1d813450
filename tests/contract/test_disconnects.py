"""Callers that leave, in each phase of a request."""

from collections.abc import Callable

import pytest

from tests.contract.calls import Call, Leaver, text
from tests.contract.engines import SEATS, Site
from tests.contract.journals import Request, wait_for

ATTEMPTS = 25
"""A caller on a busy machine may be late this often: an engine alone is done in milliseconds."""
STREAM = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


def request(site: Site, caller: Leaver) -> Request | None:
    """What is told of a caller's request so far."""
    found = site.journals.of_trace(caller.traceparent)
    assert len(found) <= 1
    return found[0] if found else None


def reaches(site: Site, caller: Leaver, phase: str) -> Callable[[], bool]:
    """Whether a caller's request has come into a phase, or past it."""

    def reached() -> bool:
        one = request(site, caller)
        return one is not None and (one.phase == phase or one.end is not None)

    return reached


def left(site: Site, caller: Leaver) -> Request:
    """The caller leaves; its request, once all of it is told."""
    caller.leave()

    def told() -> bool:
        one = request(site, caller)
        return one is not None and one.whole

    wait_for(told, "the end of a request whose caller has left")
    one = request(site, caller)
    assert one is not None
    return one


def leave_in(site: Site, call: Call, phase: str) -> Request:
    """Send a call and leave in a phase; again if the engine was faster than this caller."""
    for _ in range(ATTEMPTS):
        caller = Leaver(site, call)
        wait_for(reaches(site, caller, phase), phase)
        one = left(site, caller)
        if one.phase == phase and one.outcome == "cancelled":
            return one
    pytest.fail(f"no caller of {ATTEMPTS} left in {phase}; the last request ended as {one.outcome}")


def account(one: Request) -> int:
    """What its steps must have computed, by its account."""
    end = one.ended
    return (
        one.arrived.prompt_tokens - end.unscheduled_tokens - end.cached_tokens
        + max(end.output_tokens - 1, 0)
        + end.recomputed_tokens + end.rejected_tokens + end.discarded_tokens
    )  # fmt: skip


def check(one: Request) -> None:
    """A cancelled request with an exact account."""
    assert (one.outcome, one.finish_reason, one.ended.error_type) == ("cancelled", "abort", None)
    assert sum(part.tokens for part in one.parts) == account(one)
    assert sum(part.emitted or 0 for part in one.parts) == one.ended.output_tokens


@STREAM
def test_left_in_the_queue(site: Site, stream: bool) -> None:
    """No step has it, and all of its prompt is unscheduled."""
    full = [Leaver(site, Call(prompt=text(20), max_tokens=1500)) for _ in range(SEATS)]
    for each in full:
        wait_for(reaches(site, each, "decode"), "a full engine")
    caller = Leaver(site, Call(prompt=text(50), stream=stream))
    wait_for(reaches(site, caller, "queue"), "queue")
    one = left(site, caller)
    for each in full:
        left(site, each)
    check(one)
    assert one.parts == []
    assert one.ended.queued_ns is not None
    assert one.ended.scheduled_ns is None
    assert one.ended.unscheduled_tokens == one.arrived.prompt_tokens
    assert (one.ended.output_tokens, one.first_output_ns) == (0, None)


@STREAM
def test_left_in_prefill(site: Site, stream: bool) -> None:
    """Steps have a part of its prompt; the rest is unscheduled."""
    one = leave_in(site, Call(prompt=text(1450), stream=stream), "prefill")
    check(one)
    assert 0 < one.ended.unscheduled_tokens < one.arrived.prompt_tokens
    assert one.ended.scheduled_ns == one.parts[0].schedule_ns
    assert (one.ended.first_token_ns, one.first_output_ns) == (None, None)


@STREAM
def test_left_in_decode(site: Site, stream: bool) -> None:
    """It keeps the tokens it got, and both stamps of the first."""
    one = leave_in(site, Call(prompt=text(30), max_tokens=1400, stream=stream), "decode")
    check(one)
    end = one.ended
    assert 0 < end.output_tokens < 1400
    assert (end.unscheduled_tokens, end.cached_tokens) == (0, 0)
    assert end.first_token_ns is not None
    assert one.first_output_ns is None or one.first_output_ns >= end.first_token_ns
    assert (end.last_token_ns or 0) >= end.first_token_ns
