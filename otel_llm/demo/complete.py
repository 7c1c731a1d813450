"""Whether a call left all the facts and spans it must leave: `docs/completeness.md` in code.

What a client saw is one side, what stands in ClickHouse the other. They share no computation: the
client counts characters, the engine counts tokens, and steps are summed from their batches.
"""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from otel_llm.conventions import SpanName
from otel_llm.demo.client import Seen

Row = dict[str, Any]


class Span(NamedTuple):
    """A span in `otel_traces`: its name and whose child it is."""

    name: str
    parent_span_id: str


class CallFacts(NamedTuple):
    """Everything in ClickHouse about one call.

    Attributes:
        call: its row of `llm_gateway_calls`.
        attempts: its rows of `llm_attempts`, in order.
        requests: its rows of `llm_requests`, each with the sums over its steps.
        spans: the spans of its trace by span id.
    """

    call: Row
    attempts: Sequence[Row]
    requests: Sequence[Row]
    spans: dict[str, Span]


def outcome(facts: CallFacts) -> str:
    """The call's row of the table in `docs/completeness.md`."""
    ended = str(facts.call["outcome"])
    if ended != "cancelled":
        return ended
    if not facts.requests:
        return "cancelled_at_gateway"
    if all(request["outcome"] == "finished" for request in facts.requests):
        return "cancelled_in_delivery"
    if any(request["first_token"] is not None for request in facts.requests):
        return "cancelled_in_decode"
    if any(request["scheduled"] is not None for request in facts.requests):
        return "cancelled_in_prefill"
    return "cancelled_before_schedule"


def problems(facts: CallFacts, seen: Seen) -> list[str]:
    """What is missing or contradicts itself. Empty if the call is complete."""
    found = [
        *_against_client(facts, seen),
        *_attempts(facts),
        *_owed_requests(facts, seen),
        *_spans(facts),
        *_times(facts),
    ]
    for request in facts.requests:
        found += _request(request)
    if outcome(facts) == "finished":
        found += _finished(facts, seen)
    return found


_CONSISTENT = {
    "completed": {"finished"},
    # The last bytes may be on their way when a client gives up.
    "gave_up": {"cancelled", "finished"},
    "refused": {"shed", "failed"},
    "broken": {"failed"},
}


def _against_client(facts: CallFacts, seen: Seen) -> Iterator[str]:
    call = facts.call
    if call["outcome"] not in _CONSISTENT[seen.ended]:
        yield f"the client saw it {seen.ended} {seen.error}, its row says {call['outcome']}"
    if call["tenant"] != seen.call.tenant:
        yield f"tenant is {call['tenant']}, the client was {seen.call.tenant}"
    if seen.status_code is not None and call["status_code"] != seen.status_code:
        yield f"status is {call['status_code']}, the client saw {seen.status_code}"
    if seen.ttft_s is not None and call["first_content"] is not None and call["stream"]:
        ttft_caller_s = (call["first_content"] - call["arrival"]) / 1e9
        if ttft_caller_s > seen.ttft_s:
            yield f"TTFT_caller {ttft_caller_s:.6f} s exceeds the client's own {seen.ttft_s:.6f} s"


def _attempts(facts: CallFacts) -> Iterator[str]:
    call, attempts = facts.call, facts.attempts
    numbers = [attempt["attempt"] for attempt in attempts]
    if numbers != list(range(1, call["attempts"] + 1)):
        yield f"the call counts {call['attempts']} attempts, rows are {numbers}"
    if call["outcome"] == "shed":
        if facts.requests:
            yield "shed, yet an engine served it"
        return
    if not attempts:
        if call["outcome"] != "cancelled":
            yield "no attempt"
        return
    if any(attempt["outcome"] != "failed" for attempt in attempts[:-1]):
        yield "an attempt that did not fail was tried again"
    # A client may give up between two tries, or while the last bytes are on their way.
    any_end = {"cancelled", "finished", "failed"}
    fitting = any_end if call["outcome"] == "cancelled" else {call["outcome"]}
    if attempts[-1]["outcome"] not in fitting:
        yield f"{call['outcome']}, its last attempt {attempts[-1]['outcome']}"


def _owed_requests(facts: CallFacts, seen: Seen) -> Iterator[str]:
    """An attempt whose engine answered 200 was accepted, and owes one request per sample."""
    for attempt in facts.attempts:
        served = sum(r["parent_span_id"] == attempt["span_id"] for r in facts.requests)
        owed = (
            {seen.call.samples} if attempt["status_code"] == _ACCEPTED else {0, seen.call.samples}
        )
        if served not in owed:
            number, samples = attempt["attempt"], seen.call.samples
            yield f"attempt {number}: {served} requests under it, n was {samples}"


_ACCEPTED = 200


def _finished(facts: CallFacts, seen: Seen) -> Iterator[str]:
    served = [r for r in facts.requests if r["parent_span_id"] == facts.attempts[-1]["span_id"]]
    if not served:
        yield "finished, with no request under its last attempt"
    if any(request["outcome"] != "finished" for request in served):
        yield "finished, with a request that did not"
    tokens = sum(request["output_tokens"] for request in served)
    if seen.ended == "completed" and tokens != seen.characters:
        yield f"{tokens} output tokens, the client received {seen.characters}"
    if facts.call["output_tokens"] not in (None, tokens):
        yield f"usage says {facts.call['output_tokens']} output tokens, requests {tokens}"
    first = min((r["first_output"] for r in served if r["first_output"] is not None), default=None)
    content = facts.call["first_content"]
    if first is None or content is None or first > content:
        yield f"first output at {first}, first content at {content}"
    if any(request["finished"] > facts.call["finished"] for request in served):
        yield "the call finished before its request"


def _request(request: Row) -> Iterator[str]:
    name = request["request_id"]
    if request["incomplete"]:
        yield f"{name}: marked incomplete"
    stamps = ("arrival", "queued", "scheduled", "first_token", "last_token", "finished")
    known = [(stamp, request[stamp]) for stamp in stamps if request[stamp] is not None]
    for (before, start), (after, end) in itertools.pairwise(known):
        if start > end:
            yield f"{name}: {after} is before {before}"
    yield from _account(name, request)
    if request["scheduled"] is None:
        if request["steps"]:
            yield f"{name}: never scheduled, yet in {request['steps']} steps"
        return
    yield from _steps(name, request)


def _account(name: str, request: Row) -> Iterator[str]:
    """Every token that a step scheduled stands in one term, however the request ended."""
    if request["incomplete"]:
        return
    expected = (
        request["prompt_tokens"]
        - request["unscheduled_tokens"]
        - request["cached_tokens"]
        + max(request["output_tokens"] - 1, 0)
        + request["recomputed_tokens"]
        + request["rejected_tokens"]
        + request["discarded_tokens"]
    )
    if request["step_tokens"] != expected:
        yield f"{name}: {request['step_tokens']} tokens in its steps, {expected} expected"
    if request["outcome"] == "finished" and request["unscheduled_tokens"]:
        yield f"{name}: finished, with {request['unscheduled_tokens']} tokens never scheduled"


def _steps(name: str, request: Row) -> Iterator[str]:
    if not request["steps"]:
        yield f"{name}: scheduled, yet in no step"
        return
    # The result of an engine's last step may never have come.
    first_result = request["first_result"]
    early = first_result is not None and first_result < request["arrival"]
    if early or request["last_step"] > request["finished"]:
        yield f"{name}: a step does not overlap it"
    if request["step_emitted"] != request["output_tokens"]:
        emitted, tokens = request["step_emitted"], request["output_tokens"]
        yield f"{name}: steps emitted {emitted} of {tokens} tokens"


def _spans(facts: CallFacts) -> Iterator[str]:
    call = facts.call
    server = facts.spans.get(call["span_id"])
    if server is None:
        yield "no server span"
    elif server.parent_span_id != call["parent_span_id"]:
        yield "the server span has another parent"
    for attempt in facts.attempts:
        span = facts.spans.get(attempt["span_id"])
        if span != Span(SpanName.ATTEMPT, call["span_id"]):
            yield f"attempt {attempt['attempt']}: span is {span}"
    for request in facts.requests:
        yield from _request_spans(request, facts)


def _request_spans(request: Row, facts: CallFacts) -> Iterator[str]:
    span = facts.spans.get(request["span_id"])
    attempts = {attempt["span_id"] for attempt in facts.attempts}
    if span is None or span.name != SpanName.REQUEST or span.parent_span_id not in attempts:
        yield f"{request['request_id']}: span is {span}"
    wanted = {SpanName.QUEUE}
    if request["scheduled"] is not None:
        wanted.add(SpanName.PREFILL)
    if request["first_token"] is not None:
        wanted.add(SpanName.DECODE)
    if request["delivered_tokens"] is not None:  # by an API server of its own
        wanted |= {SpanName.INTAKE} if request["queued"] is not None else set()
        finished = request["outcome"] == "finished" and request["first_token"] is not None
        wanted |= {SpanName.DELIVERY} if finished else set()
    parts = {s.name for s in facts.spans.values() if s.parent_span_id == request["span_id"]}
    if parts != wanted:
        yield f"{request['request_id']}: parts are {sorted(parts)}, wanted {sorted(wanted)}"


def _times(facts: CallFacts) -> Iterator[str]:
    call = facts.call
    starts = {attempt["span_id"]: attempt["started"] for attempt in facts.attempts}
    for attempt in facts.attempts:
        if not call["arrival"] <= attempt["started"] <= attempt["finished"] <= call["finished"]:
            yield f"attempt {attempt['attempt']} does not nest in its call"
    for request in facts.requests:
        start = starts.get(request["parent_span_id"])
        if start is None:
            yield f"{request['request_id']}: its attempt has no row"
        elif request["arrival"] < start:
            yield f"{request['request_id']}: arrived before its attempt began"
