"""The gateway's join, as a function from records to facts."""

import msgspec

from otel_llm.agent.gateway_join import GatewayJoin
from otel_llm.agent.join import Limits
from otel_llm.facts.joined import Joined, JoinedAttempt, JoinedCall, ProducerEvent
from otel_llm.journal.records import Record
from tests.agent.builders import (
    GATEWAY,
    anchor,
    arrived,
    at,
    attempt,
    call,
    call_started,
)


def make(max_open: int = 10) -> GatewayJoin:
    """A fresh join."""
    return GatewayJoin(GATEWAY, Limits(max_open_requests=max_open), anchor(-1))


def facts_of(*records: Record) -> list[Joined]:
    """What a fresh join gives for these records, after its birth."""
    return make().feed([anchor(), *records])[1:]


CALL = JoinedCall(GATEWAY, anchor(), "finished", call())
ATTEMPT = JoinedAttempt(GATEWAY, anchor(), attempt())


def test_a_whole_call() -> None:
    """A call and its attempt become one fact each."""
    assert facts_of(call_started(), attempt(), call()) == [ATTEMPT, CALL]


def test_a_wall_step_changes_no_duration() -> None:
    """Call and attempt share the clock reading of the call's start, however the clock is set."""
    later = anchor(2, wall_step_ns=9_000_000_000)
    assert facts_of(call_started(), later, attempt(), call()) == [ATTEMPT, CALL]


def test_call_without_its_start() -> None:
    """Its start may be overwritten; the call is written whole at its end."""
    later = anchor(2, wall_step_ns=9_000_000_000)
    assert facts_of(later, attempt(), call()) == [
        msgspec.structs.replace(ATTEMPT, anchor=later),
        msgspec.structs.replace(CALL, anchor=later),
    ]


def test_repeated_records() -> None:
    """A record that comes twice makes no second fact."""
    once: list[Record] = [call_started(), attempt(number=1), attempt(number=2), call()]
    twice = [record for record in once for _ in range(2)]
    assert facts_of(*twice, *once) == facts_of(*once)


def test_gateway_death() -> None:
    """Calls in flight become rows, and one event names them."""
    join = make()
    join.feed([anchor(), call_started(), attempt(milliseconds=-30), anchor(20)])
    died = call(
        parent_span_id=None, finished_ns=at(20), method="", operation="", model=None, tier="",
        outcome="failed", status_code=None, error_class="gateway_died", stream=False, samples=None,
        first_content_ns=None, last_content_ns=None, chunks=0, inter_chunk_us=[], attempts=1,
        response_id=None, request_bytes=0, response_bytes=0,
    )  # fmt: skip
    assert join.end(clean_close=False) == [
        JoinedCall(GATEWAY, anchor(), "gateway_died", died),
        ProducerEvent(GATEWAY, anchor(20), "died", at(20), (), ("c1",), 0),
    ]


def test_too_many_open_calls() -> None:
    """The oldest goes and is counted; its end still gives its row."""
    join = make(max_open=1)
    joined = join.feed([anchor(), call_started("c1"), call_started("c2"), call("c1")])
    assert joined[1:] == [JoinedCall(GATEWAY, anchor(), "finished", call("c1"))]
    assert join.lost == {"state_full": 1}


def test_stamps_that_run_backwards() -> None:
    """They are taken as absent, an end before the beginning is put there, and each is counted."""
    join = make()
    backwards = call(first_content_ns=at(-1), last_content_ns=at(-1), finished_ns=at(-2))
    early = msgspec.structs.replace(attempt(), first_byte_ns=at(-5), finished_ns=at(-6))
    joined = join.feed([anchor(), early, backwards])[1:]
    assert joined == [
        JoinedAttempt(
            GATEWAY,
            anchor(),
            msgspec.structs.replace(attempt(), first_byte_ns=None, finished_ns=at(1)),
        ),
        JoinedCall(
            GATEWAY,
            anchor(),
            "finished",
            call(first_content_ns=None, last_content_ns=None, finished_ns=at(0)),
        ),
    ]
    assert join.breaches == {"time": 5}


def test_malformed_ids() -> None:
    """Ids that are no ids are emptied and counted; the fact stays."""
    join = make()
    joined = join.feed([anchor(), call(trace_id="xyz", span_id="0" * 16, parent_span_id="q")])
    fact = joined[1]
    assert isinstance(fact, JoinedCall)
    assert (fact.call.trace_id, fact.call.span_id, fact.call.parent_span_id) == ("", "", None)
    assert join.breaches == {"trace": 3}


def test_engine_record_in_a_gateway_journal() -> None:
    """A record of the other layer means nothing here and is counted."""
    join = make()
    join.feed([anchor(), arrived()])
    assert join.lost == {"undecodable": 1}


def test_attempts_survive_a_restart() -> None:
    """How many tries a call has ended is saved, for the row it gets if its gateway dies."""
    join = make()
    join.feed([anchor(), call_started()])
    saved = {(kind, key): body for kind, key, body in join.changes() if body is not None}
    join.saved()
    join.feed([attempt(number=1), attempt(number=2)])
    saved.update({(kind, key): body for kind, key, body in join.changes() if body is not None})
    again = make()
    again.restore(join.state, [(kind, key, body) for (kind, key), body in saved.items()])
    again.feed([attempt(number=2), attempt(number=3)])
    died = again.end(clean_close=False)[0]
    assert isinstance(died, JoinedCall)
    assert died.call.attempts == 3
