"""One call at a time: what stands in the journals is what its caller saw."""

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from otel_llm.facts import PHASE_DECODE, PHASE_PREFILL, RequestArrived
from tests.contract.calls import (
    ENDPOINTS,
    OPERATIONS,
    TRACESTATE,
    Answer,
    Call,
    Endpoint,
    ask,
    text,
    traceparent,
)
from tests.contract.engines import BUDGET, SERVICE, Feature, Site
from tests.contract.journals import Request, wait_for

ID_PREFIX = {"chat/completions": "chatcmpl-", "completions": "cmpl-"}


def facts(site: Site, answer: Answer, sequences: int) -> list[Request]:
    """The facts of an answered call, once they are whole."""
    assert answer.status == 200

    def told() -> bool:
        found = site.journals.of_call(answer.id)
        return len(found) >= sequences and all(one.whole for one in found)

    wait_for(told, f"{sequences} requests of {answer.id}")
    return site.journals.of_call(answer.id)


def check(answer: Answer, requests: Sequence[Request], samples: int) -> None:
    """Facts and answer agree in number, end and tokens."""
    assert len(requests) == len(answer.finish_reasons)
    assert len({one.arrived.request_id for one in requests}) == len(requests)
    for one in requests:
        assert (one.outcome, one.finish_reason) == ("finished", "length")
    assert set(answer.finish_reasons.values()) == {"length"}
    prompts = sum(one.arrived.prompt_tokens for one in requests)
    assert prompts == answer.usage["prompt_tokens"] * samples
    output = sum(one.ended.output_tokens for one in requests)
    assert output == answer.usage["completion_tokens"]
    assert [one.delivered.output_tokens for one in requests if one.delivered] == [
        one.ended.output_tokens for one in requests if one.delivered
    ]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_call_is_one_request(site: Site, endpoint: Endpoint, stream: bool) -> None:
    """Its id is the answer's, and operation, model, limit, tokens and end are the call's."""
    answer = ask(site, Call(endpoint, text(40), max_tokens=9, stream=stream))
    [one] = facts(site, answer, 1)
    check(answer, [one], 1)
    assert answer.id.startswith(ID_PREFIX[endpoint])
    arrived = one.arrived
    assert (arrived.operation, arrived.model) == (OPERATIONS[endpoint], site.engine.model)
    assert (arrived.max_tokens, one.ended.output_tokens) == (9, 9)
    assert (arrived.sample_index, arrived.sample_count, arrived.lora) == (0, 1, "")
    assert (one.ended.error_type, one.ended.unscheduled_tokens) == (None, 0)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_each_sample_is_a_request(site: Site, endpoint: Endpoint, stream: bool) -> None:
    """`n=2`: two requests under the call's id, each with its number, one prompt in common."""
    answer = ask(site, Call(endpoint, text(40), n=2, stream=stream))
    requests = facts(site, answer, 2)
    check(answer, requests, 2)
    numbers = sorted((one.arrived.sample_index, one.arrived.sample_count) for one in requests)
    assert numbers == [(0, 2), (1, 2)]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_each_prompt_of_a_list_is_a_request(site: Site, stream: bool) -> None:
    """Three prompts of one call: three requests, each with its own length."""
    answer = ask(site, Call(prompt=[text(20), text(30), text(45)], stream=stream))
    requests = facts(site, answer, 3)
    check(answer, requests, 1)
    short, middle, long = sorted(one.arrived.prompt_tokens for one in requests)
    assert (middle - short, long - short) == (10, 25)


def test_each_sample_of_each_prompt_is_a_request(site: Site) -> None:
    """Two prompts, two samples of each: four requests of one call."""
    answer = ask(site, Call(prompt=[text(20), text(30)], n=2))
    check(answer, facts(site, answer, 4), 2)


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_the_callers_trace_context_is_carried(site: Site, endpoint: Endpoint) -> None:
    """`traceparent` and `tracestate` stand in every request of the call, as received."""
    sent = {"traceparent": traceparent(), "tracestate": TRACESTATE}
    answer = ask(site, Call(endpoint, text(20), n=2, headers=sent))
    for one in facts(site, answer, 2):
        for half in (one.arrived, one.delivered or one.arrived):
            assert (half.traceparent, half.tracestate) == tuple(sent.values())


def test_without_a_trace_context_there_is_none(site: Site) -> None:
    """Absent headers are absent, not empty."""
    answer = ask(site, Call(prompt=text(20)))
    [one] = facts(site, answer, 1)
    for half in (one.arrived, one.delivered or one.arrived):
        assert (half.traceparent, half.tracestate) == (None, None)


def test_two_calls_of_one_x_request_id_are_told_apart(site: Site) -> None:
    """A caller that repeats its `X-Request-Id` gets two requests with ids of their own."""
    headers = [
        {"x-request-id": "the-callers-own_0-1", "traceparent": traceparent()} for _ in range(2)
    ]
    calls = [Call(prompt=text(30), max_tokens=40, headers=each) for each in headers]
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda call: ask(site, call), calls))
    found = []
    for answer, sent in zip(answers, headers, strict=True):
        facts(site, answer, 1)
        [one] = site.journals.of_trace(sent["traceparent"])
        assert one.arrived.api_request_id == answer.id
        found.append(one.arrived.request_id)
    assert len(set(found)) == 2


def test_stamps_follow_each_other(site: Site) -> None:
    """Arrival, queue, schedule, first token, first output, last token, end; none is missing."""
    answer = ask(site, Call(prompt=text(40), max_tokens=12, stream=True))
    [one] = facts(site, answer, 1)
    end = one.ended
    core = [one.arrival_ns, end.queued_ns, end.scheduled_ns, end.first_token_ns, end.last_token_ns]
    api = [one.arrival_ns, end.first_token_ns, one.first_output_ns, one.finished_ns]
    for stamps in (core, api):
        known = [stamp for stamp in stamps if stamp is not None]
        assert len(known) == len(stamps)
        assert known == sorted(known)
    assert end.scheduled_ns == one.parts[0].schedule_ns


def test_a_call_that_is_refused_is_no_request(site: Site) -> None:
    """Nonsense, an unknown model and a prompt that is too long get an error and leave no fact."""
    header = {"traceparent": traceparent()}
    wrong = [
        (Call(prompt=text(9), headers=header, extra={"max_tokens": "many"}), {400, 422}),
        (Call(prompt=text(9), headers=header, extra={"model": "another"}), {404}),
        (Call(prompt=text(4000), headers=header), {400}),
        (Call(prompt=text(9), headers=header, extra={"temperature": -1.0}), {400}),
    ]
    for call, statuses in wrong:
        assert ask(site, call).status in statuses
    facts(site, ask(site, Call(prompt=text(9))), 1)  # what came before stands before it
    assert site.journals.of_trace(header["traceparent"]) == []


def test_a_repeated_prompt_comes_from_the_prefix_cache(site: Site) -> None:
    """Cached tokens are those that no step computed, and the engine's own count of them."""
    site.needs(Feature.PREFIX_CACHE)
    prompt = text(200)
    for repeated in (False, True):
        answer = ask(site, Call(prompt=prompt, max_tokens=4))
        [one] = facts(site, answer, 1)
        assert (one.ended.cached_tokens > 0) is repeated
        computed = sum(part.tokens for part in one.parts)
        assert computed == one.arrived.prompt_tokens - one.ended.cached_tokens + 3
        assert one.parts[0].context == one.ended.cached_tokens
        details = answer.usage.get("prompt_tokens_details")
        if details:
            assert one.ended.cached_tokens == details["cached_tokens"]


def test_a_long_prompt_is_prefilled_in_chunks(site: Site) -> None:
    """Prefill steps fill the budget one after another; each other token is a decode of its own."""
    site.needs(Feature.CHUNKED_PREFILL)
    answer = ask(site, Call(prompt=text(100), max_tokens=5))
    [one] = facts(site, answer, 1)
    prompt = one.arrived.prompt_tokens
    chunks = [part for part in one.parts if part.phase == PHASE_PREFILL]
    assert len(chunks) == math.ceil(prompt / BUDGET)
    assert [part.context for part in chunks] == list(range(0, prompt, BUDGET))
    assert [part.emitted for part in chunks] == [0] * (len(chunks) - 1) + [1]
    decodes = one.parts[len(chunks) :]
    assert {(part.phase, part.tokens, part.emitted) for part in decodes} == {(PHASE_DECODE, 1, 1)}
    assert [part.context for part in decodes] == list(range(prompt, prompt + 4))


def test_the_producer_says_who_it_is(site: Site) -> None:
    """Service, model and rank stand in every journal, and every hook is in its place."""
    journals = site.journals.read()
    for journal in journals:
        who = journal.producer
        assert (who.service, who.model, who.dp_rank) == (SERVICE, site.engine.model, 0)
        assert who.left_out == []
    instances = {journal.producer.instance_id for journal in journals}
    assert len(instances) == len(journals)
    frontends = {j.producer.instance_id for j in journals if j.producer.kind == "frontend"}
    named = {
        record.frontend
        for journal in journals
        for record in journal.records
        if isinstance(record, RequestArrived)
    }
    assert named - {""} == frontends
