"""The judge of completeness: a whole call passes, and each rule, broken, is noticed."""

import copy
from collections.abc import Callable

import pytest

from otel_llm.conventions import SpanName
from otel_llm.demo.client import Seen
from otel_llm.demo.complete import CallFacts, Span, outcome, problems
from otel_llm.demo.workload import PlannedCall

CALL = PlannedCall(
    number=1,
    at_s=0.0,
    prompt_tokens=10,
    shared_tokens=0,
    output_tokens=3,
    samples=1,
    stream=True,
    chat=True,
    tenant="acme",
    tier="gold",
)
SEEN = Seen(
    call=CALL,
    trace_id="t",
    ended="completed",
    status_code=200,
    characters=3,
    ttft_s=1.0,
    duration_s=2.0,
)


def whole() -> CallFacts:
    """A finished call with a retry, complete in every respect. Times are nanoseconds."""
    call = {
        "call_id": "c",
        "trace_id": "t",
        "span_id": "server",
        "parent_span_id": "client",
        "outcome": "finished",
        "status_code": 200,
        "error_class": "",
        "stream": True,
        "samples": 1,
        "attempts": 2,
        "prompt_tokens": None,
        "output_tokens": None,
        "tenant": "acme",
        "arrival": 100,
        "first_content": 600,
        "finished": 1000,
    }
    failed = {
        "attempt": 1, "span_id": "try1", "outcome": "failed", "status_code": 503,
        "started": 110, "finished": 120,
    }  # fmt: skip
    served = {
        "attempt": 2, "span_id": "try2", "outcome": "finished", "status_code": 200,
        "started": 130, "finished": 990,
    }  # fmt: skip
    request = {
        "request_id": "r",
        "span_id": "request",
        "parent_span_id": "try2",
        "outcome": "finished",
        "incomplete": False,
        "prompt_tokens": 10,
        "cached_tokens": 4,
        "output_tokens": 3,
        "recomputed_tokens": 2,
        "rejected_tokens": 5,
        "discarded_tokens": 6,
        "unscheduled_tokens": 0,
        "delivered_tokens": None,
        "arrival": 140,
        "queued": 150,
        "scheduled": 200,
        "first_token": 400,
        "first_output": 410,
        "last_token": 900,
        "finished": 910,
        "steps": 3,
        "step_tokens": 10 - 0 - 4 + 2 + 2 + 5 + 6,
        "step_emitted": 3,
        "first_step": 195,
        "first_result": 300,
        "last_step": 800,
    }
    spans = {
        "server": Span("POST /v1/chat/completions", "client"),
        "try1": Span(SpanName.ATTEMPT, "server"),
        "try2": Span(SpanName.ATTEMPT, "server"),
        "request": Span(SpanName.REQUEST, "try2"),
        "q": Span(SpanName.QUEUE, "request"),
        "p": Span(SpanName.PREFILL, "request"),
        "d": Span(SpanName.DECODE, "request"),
    }
    return CallFacts(call, [failed, served], [request], spans)


def test_a_whole_call_is_complete() -> None:
    """Nothing is reported about a call that has everything."""
    assert problems(whole(), SEEN) == []
    assert outcome(whole()) == "finished"


Break = Callable[[CallFacts], object]

BREAKS: dict[str, Break] = {
    "row contradicts client": lambda f: f.call.update(outcome="failed"),
    "tenant swapped": lambda f: f.call.update(tenant="globex"),
    "status differs": lambda f: f.call.update(status_code=201),
    "TTFT_caller too long": lambda f: f.call.update(first_content=100 + 1_000_000_001),
    "attempt missing": lambda f: f.attempts.pop(0),  # type: ignore[attr-defined]
    "retried a success": lambda f: f.attempts[0].update(outcome="finished"),
    "last attempt failed": lambda f: f.attempts[1].update(outcome="failed"),
    "attempt outside call": lambda f: f.attempts[1].update(finished=1001),
    "attempt before call": lambda f: f.attempts[0].update(started=99),
    "request missing": lambda f: f.requests.clear(),  # type: ignore[attr-defined]
    "request cancelled": lambda f: f.requests[0].update(outcome="cancelled"),
    "request under first attempt": lambda f: f.requests[0].update(parent_span_id="try1"),
    "request of another trace": lambda f: f.requests[0].update(parent_span_id="zzz"),
    "request incomplete": lambda f: f.requests[0].update(incomplete=True),
    "request before its attempt": lambda f: f.requests[0].update(arrival=129),
    "queued before arrival": lambda f: f.requests[0].update(queued=139),
    "scheduled before queued": lambda f: f.requests[0].update(scheduled=149),
    "first token before schedule": lambda f: f.requests[0].update(first_token=199),
    "last token after finish": lambda f: f.requests[0].update(last_token=911),
    "request outlives its call": lambda f: f.requests[0].update(finished=1001),
    "first output after content": lambda f: f.requests[0].update(first_output=601),
    "no first output": lambda f: f.requests[0].update(first_output=None),
    "no steps": lambda f: f.requests[0].update(steps=0),
    "a step after the end": lambda f: f.requests[0].update(last_step=911),
    "a result before arrival": lambda f: f.requests[0].update(first_result=139),
    "one scheduled token too many": lambda f: f.requests[0].update(step_tokens=22),
    "one scheduled token too few": lambda f: f.requests[0].update(step_tokens=20),
    "a finished prompt in part": lambda f: f.requests[0].update(
        unscheduled_tokens=1, step_tokens=20
    ),
    "one emitted token lost": lambda f: f.requests[0].update(step_emitted=2),
    "output tokens differ": lambda f: f.requests[0].update(
        output_tokens=4, step_emitted=4, step_tokens=22
    ),
    "usage differs": lambda f: f.call.update(output_tokens=4),
    "server span missing": lambda f: f.spans.pop("server"),
    "server span's parent": lambda f: f.spans.update(server=Span("POST", "other")),
    "attempt span missing": lambda f: f.spans.pop("try1"),
    "request span missing": lambda f: f.spans.pop("request"),
    "queue span missing": lambda f: f.spans.pop("q"),
    "prefill span missing": lambda f: f.spans.pop("p"),
    "decode span missing": lambda f: f.spans.pop("d"),
    "a part too many": lambda f: f.spans.update(x=Span(SpanName.STEP, "request")),
}


@pytest.mark.parametrize("name", BREAKS)
def test_each_rule_notices(name: str) -> None:
    """Every single defect is reported."""
    facts = whole()
    BREAKS[name](facts)
    assert problems(facts, SEEN) != []


def cancelled(**request: object) -> CallFacts:
    """The whole call, given up by its client."""
    facts = copy.deepcopy(whole())
    facts.call.update(outcome="cancelled", first_content=None)
    facts.attempts[1].update(outcome="cancelled")
    facts.requests[0].update(outcome="cancelled", **request)
    return facts


def gave_up() -> Seen:
    """What a client that gave up saw."""
    return Seen(
        call=CALL,
        trace_id="t",
        ended="gave_up",
        status_code=200,
        characters=0,
        ttft_s=None,
        duration_s=0.1,
    )


def test_cancelled_in_decode() -> None:
    """A core first token puts the end in decode."""
    facts = cancelled()
    assert (outcome(facts), problems(facts, gave_up())) == ("cancelled_in_decode", [])


def test_cancelled_in_delivery() -> None:
    """Its request had finished; attempt and call may disagree about the last bytes."""
    facts = cancelled()
    facts.requests[0].update(outcome="finished")
    assert (outcome(facts), problems(facts, gave_up())) == ("cancelled_in_delivery", [])
    facts.attempts[1].update(outcome="finished")
    assert problems(facts, gave_up()) == []


def test_cancelled_at_gateway() -> None:
    """A client that leaves before any try, or between two, leaves no request behind."""
    facts = cancelled()._replace(requests=[])
    facts.attempts[1].update(outcome="failed", status_code=503)
    assert (outcome(facts), problems(facts, gave_up())) == ("cancelled_at_gateway", [])
    facts.call.update(attempts=0)
    untried = facts._replace(attempts=[])
    assert problems(untried, gave_up()) == []
    untried.call.update(outcome="failed")
    assert problems(untried, gave_up()) != []


def test_what_a_cancelled_call_owes() -> None:
    """An attempt its engine accepted owes its requests, and their tokens must add up."""
    facts = cancelled()
    assert problems(facts._replace(requests=[]), gave_up()) != []
    facts.requests[0].update(step_tokens=18, unscheduled_tokens=3)
    assert problems(facts, gave_up()) == []
    for wrong in (17, 19):
        facts.requests[0].update(step_tokens=wrong)
        assert problems(facts, gave_up()) != []
    facts.requests[0].update(step_tokens=18, step_emitted=2)
    assert problems(facts, gave_up()) != []
    facts.requests[0].update(step_emitted=3)
    assert problems(facts, gave_up()) == []
    facts.requests[0].update(steps=0)
    assert problems(facts, gave_up()) != []


def test_cancelled_in_prefill() -> None:
    """Without a first token the end was in prefill, and no decode span may exist."""
    facts = cancelled(first_token=None, first_output=None, last_token=None)
    assert outcome(facts) == "cancelled_in_prefill"
    assert problems(facts, gave_up()) != []
    facts.spans.pop("d")
    assert problems(facts, gave_up()) == []


def test_cancelled_before_schedule() -> None:
    """A request that never ran has a queue span alone, and no step."""
    stamps = {"scheduled": None, "first_token": None, "first_output": None, "last_token": None}
    terms = dict.fromkeys(("cached", "output", "recomputed", "rejected", "discarded"), 0)
    account = {f"{term}_tokens": tokens for term, tokens in terms.items()}
    facts = cancelled(
        **stamps, **account, steps=0, unscheduled_tokens=10, step_tokens=0, step_emitted=0
    )
    facts.spans.pop("p")
    facts.spans.pop("d")
    assert (outcome(facts), problems(facts, gave_up())) == ("cancelled_before_schedule", [])
    facts.requests[0].update(steps=1)
    assert problems(facts, gave_up()) != []


def test_an_engine_that_died_in_its_first_step() -> None:
    """A step without a result counts, and its tokens stand in the account."""
    facts = cancelled(first_token=None, first_output=None, last_token=None, first_result=None)
    facts.spans.pop("d")
    assert problems(facts, gave_up()) == []
    facts.requests[0].update(step_tokens=20)
    assert problems(facts, gave_up()) != []


def test_an_api_server_of_its_own() -> None:
    """Then a request owes intake and delivery too, as far as it came."""
    facts = whole()
    facts.requests[0].update(delivered_tokens=3)
    assert problems(facts, SEEN) != []
    facts.spans.update(
        i=Span(SpanName.INTAKE, "request"),
        o=Span(SpanName.DELIVERY, "request"),
    )
    assert problems(facts, SEEN) == []
    given_up = cancelled(delivered_tokens=3)._replace(spans=facts.spans)
    assert problems(given_up, gave_up()) != []
    given_up.spans.pop("o")
    assert problems(given_up, gave_up()) == []


def test_shed() -> None:
    """A shed call has a server span and nothing behind it."""
    call = {**whole().call, "outcome": "shed", "attempts": 0, "status_code": 429}
    seen = Seen(
        call=CALL,
        trace_id="t",
        ended="refused",
        status_code=429,
        characters=0,
        ttft_s=None,
        duration_s=0.1,
    )
    facts = CallFacts(call, [], [], {"server": whole().spans["server"]})
    assert (outcome(facts), problems(facts, seen)) == ("shed", [])
    served = facts._replace(requests=whole().requests)
    assert problems(served, seen) != []
