"""Pairing, as a state machine fed by hand."""

from collections.abc import Callable, Container, Sequence
from typing import Any

import msgspec
import pytest

from otel_llm.agent.open_facts import Key
from otel_llm.agent.pairing import HOLD_NS, Pairing, pair_key
from otel_llm.clock import MonotonicNs
from otel_llm.context import TenantTag
from otel_llm.facts import RequestArrived, RequestFinished
from otel_llm.facts.joined import (
    Joined,
    JoinedDelivery,
    JoinedRequest,
    ProducerEvent,
    SpanIds,
)
from otel_llm.spans.ids import span_id
from tests.agent.builders import (
    ATTEMPT_SPAN_ID,
    ENGINE,
    ENGINE_ID,
    FRONTEND,
    FRONTEND_ID,
    TRACE_ID,
    anchor,
    arrived,
    at,
    delivered,
    finished,
)

TAG = TenantTag("acme", "gold", 2)
NOW = MonotonicNs(50_000_000_000)


def core(index: int = 1, **changes: object) -> JoinedRequest:
    """The core's half of a request."""
    fact = JoinedRequest(
        ENGINE, anchor(), "finished", arrived(index, frontend=FRONTEND_ID),
        finished(index, first_output_ns=None),
        SpanIds(TRACE_ID, span_id(ENGINE_ID, "request", index), ATTEMPT_SPAN_ID), TAG,
    )  # fmt: skip
    return msgspec.structs.replace(fact, **changes)


def half(index: int = 1, **changes: object) -> JoinedDelivery:
    """The API server's half. `changes` are of its record."""
    trace = SpanIds(TRACE_ID, span_id(FRONTEND_ID, "request", index), ATTEMPT_SPAN_ID)
    return JoinedDelivery(FRONTEND, anchor(2), index, delivered(index, 0, **changes), trace, TAG)


def whole(index: int = 1, **changes: object) -> JoinedRequest:
    """Both put together."""
    fact = core(
        index,
        arrived=arrived(index, frontend=FRONTEND_ID, arrival_ns=at(-0.5)),
        finished=finished(index, first_output_ns=at(10), finished_ns=at(33)),
        delivered_tokens=3,
    )
    return msgspec.structs.replace(fact, **changes)


def alone(index: int = 1) -> JoinedRequest:
    """What an API server's half is on its own."""
    told = delivered(index)
    return JoinedRequest(
        FRONTEND, anchor(2), "finished",
        RequestArrived(
            index, f"req-{index}", f"api-{index}", "chat", "tiny", told.arrival_ns, 11, 17, 0, 1,
            told.traceparent, told.tracestate, FRONTEND_ID,
        ),
        RequestFinished(
            index, "finished", "stop", told.finished_ns, first_output_ns=at(10), output_tokens=3
        ),
        half(index).trace, TAG, incomplete=True, delivered_tokens=3,
    )  # fmt: skip


def ended(event: Any = "stopped", kind: Any = "frontend") -> ProducerEvent:  # noqa: ANN401
    """The API server's journal is read to its end."""
    producer = msgspec.structs.replace(FRONTEND, kind=kind)
    return ProducerEvent(producer, anchor(), event, at(99))


def nothing_open() -> Container[str]:
    """No core works on anything."""
    return ()


def take(pairing: Pairing, *facts: Joined, now_ns: int = NOW) -> list[Joined]:
    """Feed facts at a moment."""
    return pairing.take(facts, MonotonicNs(now_ns))


def expire(
    pairing: Pairing, now_ns: int, still_open: Callable[[], Container[str]] = nothing_open
) -> list[JoinedRequest]:
    """Look for what has waited too long."""
    return pairing.expire(MonotonicNs(now_ns), still_open)


@pytest.mark.parametrize("order", [(core(), half()), (half(), core())])
def test_either_half_may_come_first(order: Sequence[Joined]) -> None:
    """The first waits, the second makes them one, whichever it is."""
    pairing = Pairing(10)
    first, second = order
    assert take(pairing, first) == []
    assert len(pairing) == 1
    assert take(pairing, second) == [whole()]
    assert len(pairing) == 0
    assert not pairing.unpaired


def test_a_core_that_serves_the_api_itself_waits_for_nobody() -> None:
    """Without an API server of its own a request passes through, as all other facts do."""
    fact = core(arrived=arrived())
    others: list[Joined] = [fact, ended("started"), ended("died", "engine")]
    assert take(Pairing(10), *others) == others


def test_the_caller_decides_how_it_ended() -> None:
    """A stop string ends a request for its caller, while the core sees an abort."""
    cut = core(outcome="cancelled", finished=finished(outcome="cancelled", finish_reason="abort"))
    [fact] = take(Pairing(10), cut, half(finish_reason="stop"))
    assert isinstance(fact, JoinedRequest)
    assert (fact.outcome, fact.finished.outcome) == ("finished", "finished")
    assert fact.finished.finish_reason == "stop"
    assert (fact.finished.output_tokens, fact.delivered_tokens) == (5, 3)


def test_errors() -> None:
    """The API server's class of an error counts, then the core's; without a failure neither."""
    failed = core(outcome="failed", finished=finished(outcome="failed", error_type="oom"))
    types = {}
    for name, told in {
        "both": half(outcome="failed", error_type="EngineDeadError"),
        "core": half(outcome="failed"),
        "none": half(outcome="cancelled"),
    }.items():
        [fact] = take(Pairing(10), failed, told)
        assert isinstance(fact, JoinedRequest)
        types[name] = (fact.outcome, fact.finished.error_type)
    assert types == {
        "both": ("failed", "EngineDeadError"),
        "core": ("failed", "oom"),
        "none": ("cancelled", None),
    }


def test_an_engine_that_died() -> None:
    """It stays the outcome; when it arrived and gave its first output the API server knows."""
    end = finished(
        outcome="failed", finish_reason="", error_type="engine_died", first_output_ns=None
    )
    dead = core(outcome="engine_died", finished=end)
    told = half(outcome="failed", finish_reason="error", error_type="EngineDeadError")
    assert take(Pairing(10), told, dead) == [
        whole(
            outcome="engine_died",
            finished=msgspec.structs.replace(end, first_output_ns=at(10), finished_ns=at(33)),
        )
    ]


def test_the_later_end_is_the_end() -> None:
    """An aborted request ends when both have let go of it."""
    [fact] = take(Pairing(10), core(), half(finished_ns=at(20)))
    assert isinstance(fact, JoinedRequest)
    assert fact.finished.finished_ns == at(31)


def test_what_the_core_does_not_know() -> None:
    """It is filled from the API server's half; what it knows stands."""
    bare = core(arrived=arrived(frontend=FRONTEND_ID, operation="", max_tokens=None, model=""))
    [fact] = take(Pairing(10), bare, half(operation="embeddings", max_tokens=9, lora="french"))
    assert isinstance(fact, JoinedRequest)
    told = fact.arrived
    assert (told.operation, told.max_tokens, told.model, told.lora) == (
        "embeddings", 9, "tiny", "french",
    )  # fmt: skip
    [fact] = take(Pairing(10), core(), half(operation="embeddings", max_tokens=9))
    assert isinstance(fact, JoinedRequest)
    assert (fact.arrived.operation, fact.arrived.max_tokens) == ("chat", 17)


def test_an_arrival_after_what_it_led_to() -> None:
    """An arrival stamped by a wall clock that was set is put before the core's first stamp."""
    pairing = Pairing(10)
    [fact] = take(pairing, core(), half(arrival_ns=at(6)))
    assert isinstance(fact, JoinedRequest)
    assert (fact.arrived.arrival_ns, fact.finished.queued_ns) == (at(1), at(1))
    assert fact.finished.scheduled_ns == at(3)
    assert pairing.breaches == {"time": 1}


def test_processes_that_share_no_monotonic_clock() -> None:
    """Their stamps meet over the wall clock, and the errors of both readings add up."""
    elsewhere = msgspec.structs.replace(FRONTEND, time_namespace=2)
    told = msgspec.structs.replace(
        half(
            arrival_ns=at(1_000 - 0.5), first_output_ns=at(1_000 + 10), finished_ns=at(1_000 + 33)
        ),
        producer=elsewhere,
        anchor=anchor(1_002, wall_step_ns=-1_000_000_000, error_ns=9),
    )
    assert take(Pairing(10), core(), told) == [whole(anchor=anchor(error_ns=50))]


def test_a_half_that_never_comes() -> None:
    """After the hold each goes out alone, incomplete and counted by the half that came."""
    pairing = Pairing(10)
    take(pairing, core(1), half(2))
    assert expire(pairing, NOW + HOLD_NS - 1) == []
    assert expire(pairing, NOW + HOLD_NS) == [core(1, incomplete=True), alone(2)]
    assert pairing.unpaired == {("chat-prod", "engine"): 1, ("chat-prod", "frontend"): 1}
    assert expire(pairing, NOW + 2 * HOLD_NS) == []


def test_a_half_that_comes_too_late() -> None:
    """It makes no second row of its request; it is counted as lost."""
    pairing = Pairing(10)
    take(pairing, core(1), half(2))
    expire(pairing, NOW + HOLD_NS)
    assert take(pairing, half(1), core(2)) == []
    assert pairing.lost == {"late": 2}
    assert len(pairing) == 0


def test_an_id_that_serves_again() -> None:
    """A late half is one half: the next request under the same id is paired."""
    pairing = Pairing(10)
    take(pairing, core(1))
    expire(pairing, NOW + HOLD_NS)
    take(pairing, half(1))
    assert take(pairing, core(1), half(1)) == [whole()]


def test_an_aborted_request_waits_for_its_step() -> None:
    """While a core still works on a request, the API server's half of it waits on."""
    pairing = Pairing(10)
    take(pairing, half())
    key = pair_key(FRONTEND_ID, "req-1")
    assert expire(pairing, NOW + HOLD_NS, lambda: {key}) == []
    assert expire(pairing, NOW + 2 * HOLD_NS - 1) == []
    assert take(pairing, core(), now_ns=NOW + 2 * HOLD_NS) == [whole()]


def test_an_api_server_that_ended() -> None:
    """Its requests wait no longer, nor do those whose core tells of them afterwards."""
    pairing = Pairing(10)
    take(pairing, core(1), half(2))
    assert take(pairing, ended()) == [core(1, incomplete=True), ended()]
    assert take(pairing, core(3)) == [core(3, incomplete=True)]
    assert take(pairing, core(2)) == [whole(2)]
    assert pairing.unpaired == {("chat-prod", "engine"): 2}


def test_another_process_that_ended() -> None:
    """The end of an engine lets go of nothing: its API server goes on."""
    pairing = Pairing(10)
    take(pairing, core(1), ended("died", "engine"))
    assert take(pairing, half(1)) == [whole()]


def test_two_halves_of_one_kind() -> None:
    """The same id twice: the older goes out alone, the newer is paired."""
    pairing = Pairing(10)
    assert take(pairing, core(), core()) == [core(incomplete=True)]
    assert take(pairing, half()) == [whole()]
    assert take(pairing, half(2), half(2)) == [alone(2)]


def test_too_many_halves() -> None:
    """Past the bound the oldest goes out alone, and is counted."""
    pairing = Pairing(2)
    assert take(pairing, *map(core, (1, 2, 3))) == [core(1, incomplete=True)]
    assert take(pairing, *map(half, (4, 5, 6))) == [alone(4)]
    assert pairing.lost == {"state_full": 2}
    assert pairing.unpaired == {("chat-prod", "engine"): 1, ("chat-prod", "frontend"): 1}


def restored(pairing: Pairing, store: dict[tuple[str, Key], bytes]) -> Pairing:
    """Another pairing, from what this one saved."""
    for kind, key, body in pairing.changes():
        if body is None:
            store.pop((kind, key), None)
        else:
            store[kind, key] = body
    pairing.saved()
    again = Pairing(10)
    again.restore([(kind, key, body) for (kind, key), body in store.items()])
    return again


def test_what_waits_is_saved() -> None:
    """Halves, what went out alone and who ended: all of it survives the agent."""
    store: dict[tuple[str, Key], bytes] = {}
    pairing = Pairing(10)
    take(pairing, core(1), half(2), core(3))
    pairing = restored(pairing, store)
    assert take(pairing, core(2), half(1)) == [whole(2), whole(1)]
    pairing = restored(pairing, store)
    assert expire(pairing, NOW + HOLD_NS) == [core(3, incomplete=True)]
    pairing = restored(pairing, store)
    assert take(pairing, half(3)) == []
    take(pairing, ended())
    pairing = restored(pairing, store)
    assert take(pairing, core(4)) == [core(4, incomplete=True)]
    assert {kind for kind, _ in store} == {"frontend.ended"}


def test_a_wait_that_began_in_another_boot() -> None:
    """Its time cannot be told by this boot's clock: it is over."""
    pairing = Pairing(10)
    take(pairing, core(1))
    assert expire(pairing, 5) == [core(1, incomplete=True)]
