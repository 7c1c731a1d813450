"""The engine's join, as a function from records to facts."""

import tracemalloc

import msgspec
import pytest

from otel_llm.agent import checks
from otel_llm.agent.engine_join import MAX_OPEN_STEPS, EngineJoin
from otel_llm.agent.join import Limits
from otel_llm.agent.rules import MAX_ITEMS
from otel_llm.clock import Anchor, EpochNs, MonotonicNs
from otel_llm.context import TenantTag
from otel_llm.facts import StepDone
from otel_llm.facts.joined import (
    Joined,
    JoinedKernels,
    JoinedRequest,
    JoinedStep,
    ProducerEvent,
    Resumption,
    SpanIds,
)
from otel_llm.journal.records import Record
from otel_llm.spans.ids import span_id, trace_id
from otel_llm.testing import Swallowed
from tests.agent.builders import (
    ATTEMPT_SPAN_ID,
    ENGINE,
    ENGINE_ID,
    TRACE_ID,
    anchor,
    arrived,
    at,
    done,
    finished,
    kernels,
    scheduled,
)

FALLBACK = Anchor(EpochNs(77), MonotonicNs(7), 5)
STARTED = ProducerEvent(ENGINE, anchor(), "started", at(0))
IDS = SpanIds(TRACE_ID, span_id(ENGINE_ID, "request", 1), ATTEMPT_SPAN_ID, sampled=True)
STEP_IDS = SpanIds(trace_id(ENGINE_ID, "step", 1), span_id(ENGINE_ID, "step", 1))
TAG = TenantTag("acme", "gold", 2)


def make(**limits: float) -> EngineJoin:
    """A join that gives no step a span unless asked."""
    chosen = Limits(step_span_ratio=0.0)._replace(**limits)  # type: ignore[arg-type]
    return EngineJoin(ENGINE, chosen, FALLBACK)


def facts_of(*records: Record, **limits: float) -> list[Joined]:
    """What a fresh join gives for these records, after its birth."""
    return make(**limits).feed([anchor(), *records])[1:]


def request_fact(**changes: object) -> JoinedRequest:
    """The request of the builders."""
    fact = JoinedRequest(ENGINE, anchor(), "finished", arrived(), finished(), IDS, TAG)
    return msgspec.structs.replace(fact, **changes)


def step_fact(**changes: object) -> JoinedStep:
    """The step of the builders, without a span."""
    fact = JoinedStep(ENGINE, anchor(), "done", scheduled(), done(), at(8))
    fact = msgspec.structs.replace(fact, **changes)
    return msgspec.structs.replace(
        fact, scheduled=fact.scheduled.packed(), done=fact.done.packed() if fact.done else None
    )


def test_a_whole_request() -> None:
    """Arrival, one step with its kernels and an end become one fact each, in order of their end."""
    records: list[Record] = [anchor(), arrived(), scheduled(), done(), kernels(), finished()]
    assert make(step_span_ratio=1.0).feed(records) == [
        STARTED,
        step_fact(trace=STEP_IDS, links=(IDS,)),
        JoinedKernels(ENGINE, anchor(), kernels(), STEP_IDS),
        request_fact(),
    ]


def test_a_wall_step_changes_no_duration() -> None:
    """Each fact keeps the one clock reading of its beginning, however the wall clock is set."""
    joined = facts_of(
        arrived(),
        anchor(1, wall_step_ns=-5_000_000_000),
        scheduled(),
        anchor(4, wall_step_ns=3_000_000_000),
        done(),
        finished(),
    )
    assert joined == [
        step_fact(anchor=anchor(1, wall_step_ns=-5_000_000_000)),
        request_fact(),
    ]


def test_a_record_before_the_first_clock_reading() -> None:
    """The first reading that follows is used for it; without any, the agent's own."""
    assert make().feed([arrived(), anchor(5), finished()])[1:] == [request_fact(anchor=anchor(5))]
    assert make().feed([arrived(), finished()])[1:] == [request_fact(anchor=FALLBACK)]


def test_no_context_from_the_caller() -> None:
    """Ids follow from engine and request; samples of one call share a trace."""
    records = [
        arrived(index, traceparent=None, tracestate=None, api_request_id="api-9")
        for index in (1, 2)
    ]
    joined = facts_of(*records, finished(1), finished(2))
    shared = trace_id(ENGINE_ID, "request", "api-9")
    assert [fact.trace for fact in joined if isinstance(fact, JoinedRequest)] == [
        SpanIds(shared, span_id(ENGINE_ID, "request", 1), "", sampled=True),
        SpanIds(shared, span_id(ENGINE_ID, "request", 2), "", sampled=True),
    ]
    assert all(fact.tenant == TenantTag() for fact in joined if isinstance(fact, JoinedRequest))


def test_sampling() -> None:
    """The caller's decision holds; `trace_ratio` decides only where there is none."""
    unsampled = arrived(traceparent=f"00-{TRACE_ID}-{ATTEMPT_SPAN_ID}-00")
    undecided = arrived(2, traceparent=None)
    joined = facts_of(arrived(3), unsampled, undecided, *map(finished, (1, 2, 3)), trace_ratio=0.0)
    sampled = [fact.trace.sampled for fact in joined if isinstance(fact, JoinedRequest)]
    assert sampled == [False, False, True]


def test_malformed_headers() -> None:
    """They are counted and taken as absent."""
    join = make()
    record = arrived(traceparent="00-xyz", tracestate="otelllm=t:not a tag")
    fact = join.feed([anchor(), record, finished()])[1]
    assert isinstance(fact, JoinedRequest)
    assert (fact.trace.parent_span_id, fact.tenant) == ("", TenantTag())
    assert join.breaches == {"traceparent": 1, "tracestate": 1}


def test_finish_without_arrival() -> None:
    """An end whose arrival was overwritten gives a row that says so and makes nothing up."""
    [fact] = facts_of(finished())
    assert isinstance(fact, JoinedRequest)
    assert fact.incomplete
    assert (fact.arrived.request_id, fact.arrived.arrival_ns) == ("", at(1))
    assert fact.finished == finished()


def test_loss_touches_open_requests() -> None:
    """What was open when records were overwritten is incomplete; what arrives later is not."""
    join = make()
    join.feed([anchor(), arrived(1)])
    join.note_lost(overwritten=3, elsewhere=0)
    joined = join.feed([arrived(2), finished(1), finished(2)])
    flags = [fact.incomplete for fact in joined if isinstance(fact, JoinedRequest)]
    assert flags == [True, False]
    assert join.state.lost == 3


def test_loss_at_an_unknown_place() -> None:
    """A record damaged somewhere in a read may have belonged to anything in that read."""
    join = make()
    join.note_lost(overwritten=0, elsewhere=1)
    [_, first] = join.feed([anchor(), arrived(1), finished(1), arrived(2)])
    [second, third] = join.feed([finished(2), arrived(3), finished(3)])
    flags = [fact.incomplete for fact in (first, second, third) if isinstance(fact, JoinedRequest)]
    assert flags == [True, True, False]


def test_repeated_records() -> None:
    """A record that comes twice makes no second fact."""
    once: list[Record] = [arrived(), scheduled(), done(), finished()]
    twice = [record for record in once for _ in range(2)]
    assert facts_of(*twice, *once) == facts_of(*once)


def test_steps_before_the_arrival() -> None:
    """A step may name a request before its arrival is read; nothing is lost by it."""
    [_, fact] = facts_of(scheduled(), arrived(), done(), finished())
    assert fact == request_fact()


def test_preemption() -> None:
    """A step that takes a request in again from an earlier token is kept as a resumption."""
    again = scheduled(2, 12, tokens=[9], context=[2])
    joined = facts_of(arrived(), scheduled(), done(), again, done(2, 15, (0,)), finished())
    assert joined[-1] == request_fact(resumed=(Resumption(2, at(12), 2),))


def test_chunked_prefill_is_no_preemption() -> None:
    """A prefill that goes on where it stopped lost nothing."""
    more = scheduled(2, 12, tokens=[2], context=[11])
    assert facts_of(arrived(), scheduled(), done(), more, finished())[-1] == request_fact()


def test_engine_death() -> None:
    """Open requests and steps become rows as far as they got, and one event names them."""
    join = make()
    join.feed([anchor(), arrived(1), arrived(2, 2), scheduled(1, 3, (1,)), done(1, 8)])
    join.feed([scheduled(2, 9, (1, 2)), anchor(10)])
    dead = finished(
        outcome="failed",
        finish_reason="",
        error_type="engine_died",
        finished_ns=at(10),
        queued_ns=None,
        scheduled_ns=at(3),
        first_token_ns=at(8),
        first_output_ns=None,
        last_token_ns=at(8),
        cached_tokens=4,
        output_tokens=1,
        preemptions=1,
        recomputed_tokens=7,
    )
    second = msgspec.structs.replace(
        dead, index=2, scheduled_ns=at(9), first_token_ns=None, last_token_ns=None,
        cached_tokens=21, output_tokens=0, preemptions=0, recomputed_tokens=0, discarded_tokens=1,
    )  # fmt: skip
    ids = msgspec.structs.replace(IDS, span_id=span_id(ENGINE_ID, "request", 2))
    assert join.end(clean_close=False) == [
        step_fact(
            status="in_flight", scheduled=scheduled(2, 9, (1, 2)), done=None, ended_ns=at(10)
        ),
        request_fact(outcome="engine_died", finished=dead, resumed=(Resumption(2, at(9), 4),)),
        request_fact(outcome="engine_died", arrived=arrived(2, 2), finished=second, trace=ids),
        ProducerEvent(ENGINE, anchor(10), "died", at(10), (2,), ("req-1", "req-2"), 0),
    ]
    assert (len(join.requests), len(join.steps)) == (0, 0)


def test_clean_end() -> None:
    """A journal closed on purpose ends with `stopped`."""
    join = make()
    join.feed([anchor()])
    assert join.end(clean_close=True) == [ProducerEvent(ENGINE, anchor(), "stopped", at(0))]


def test_result_that_never_came() -> None:
    """A step behind many later ones is given without a result; a result that comes then counts."""
    join = make()
    steps = [scheduled(seq, seq, ()) for seq in range(1, MAX_OPEN_STEPS + 2)]
    joined = join.feed([anchor(), *steps])[1:]
    last = at(MAX_OPEN_STEPS + 1)
    assert joined == [
        step_fact(status="unknown", scheduled=scheduled(1, 1, ()), done=None, ended_ns=last)
    ]
    assert join.feed([done(1), done(1_000)]) == []
    assert join.lost == {"state_full": 1}


def test_too_many_open_requests() -> None:
    """The oldest goes and is counted; its end still gives a row, marked incomplete."""
    join = make(max_open_requests=2)
    join.feed([anchor(), arrived(1), arrived(2), arrived(3)])
    assert join.lost == {"state_full": 1}
    assert [request.index for request in join.requests] == [2, 3]
    joined = join.feed([finished(1), finished(2)])
    assert [fact.incomplete for fact in joined if isinstance(fact, JoinedRequest)] == [True, False]


def test_link_limit() -> None:
    """Links stop at the limit, what is beyond is counted, and unsampled requests get none."""
    unsampled = arrived(4, traceparent=f"00-{TRACE_ID}-{ATTEMPT_SPAN_ID}-00")
    records = [*(arrived(index) for index in (1, 2, 3)), unsampled]
    joined = facts_of(
        *records, scheduled(1, 3, (1, 2, 3, 4)), done(1, 8, (1, 1, 1, 1)),
        step_span_ratio=1.0, span_link_limit=2,
    )  # fmt: skip
    [step] = joined
    assert isinstance(step, JoinedStep)
    links = [link.span_id for link in step.links]
    assert links == [span_id(ENGINE_ID, "request", index) for index in (1, 2)]
    assert step.links_dropped == 1


def test_hostile_records() -> None:
    """A record that fits no rule is dropped, counted, and marks what it may have touched."""
    join = make()
    joined = join.feed([anchor(), arrived(1), arrived(-1), finished(1)])
    assert isinstance(joined[1], JoinedRequest)
    assert joined[1].incomplete
    assert join.lost == {"undecodable": 1}
    assert join.breaches == {"tokens": 1}


def test_gateway_record_in_an_engine_journal() -> None:
    """A record of the other layer means nothing here."""
    from tests.agent.builders import call

    join = make()
    join.feed([anchor(), call()])
    assert join.lost == {"undecodable": 1}


def test_stamps_that_run_backwards() -> None:
    """They are taken as absent and counted, so that no duration is negative."""
    join = make()
    end = finished(scheduled_ns=at(0.5), first_output_ns=at(-3), finished_ns=at(-2))
    fact = join.feed([anchor(), arrived(), end])[1]
    assert fact == request_fact(
        finished=finished(scheduled_ns=None, first_output_ns=None, finished_ns=at(28))
    )
    assert join.breaches == {"time": 3}


def test_result_before_its_schedule() -> None:
    """A result cannot be in before its step was scheduled; it is put there and counted."""
    join = make()
    [_, step] = join.feed([anchor(), arrived(), scheduled(1, 3), done(1, 2)])
    assert isinstance(step, JoinedStep)
    assert step.ended_ns == at(3)
    assert join.breaches == {"time": 1}


def test_results_in_short_without_their_steps_cost_nothing() -> None:
    """Many that each claim the largest batch are passed over, in the memory of one."""
    join = make()
    join.feed([anchor(), arrived(), scheduled()])
    results = [StepDone(seq, at(8), ones=MAX_ITEMS) for seq in range(1, 5_001)]
    tracemalloc.start()
    try:
        [step] = join.feed(results)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert isinstance(step, JoinedStep)
    assert step.done is not None
    assert (list(step.done.emitted), step.done.ones) == ([], 0)
    assert join.breaches == {"batch": 1}
    assert peak < 1 << 18


def test_emitted_of_another_length() -> None:
    """A result that does not fit its batch tells nothing of tokens."""
    join = make()
    [_, step] = join.feed([anchor(), arrived(), scheduled(), done(1, 8, (1, 1))])
    assert isinstance(step, JoinedStep)
    assert step.done is not None
    assert list(step.done.emitted) == []
    assert join.breaches == {"batch": 1}


def test_a_record_that_fails_costs_itself_alone(
    monkeypatch: pytest.MonkeyPatch, swallowed: Swallowed
) -> None:
    """Those before and behind it are joined, and it is counted."""
    records: list[Record] = [anchor(), arrived(), scheduled(), done(), finished()]

    def fails(_record: Record) -> bool:
        raise ArithmeticError

    monkeypatch.setitem(checks.HOLDS, StepDone, fails)
    join = make()
    facts = join.feed(records)
    assert [type(fact) for fact in facts] == [ProducerEvent, JoinedRequest]
    assert join.lost == {"undecodable": 1}
    assert [type(error) for _, error in swallowed] == [ArithmeticError]
    swallowed.clear()
