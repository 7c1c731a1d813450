"""What must hold of every fact of an engine under load, callers that leave among it."""

import itertools
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import pytest

from otel_llm.facts import PHASE_DECODE, PHASE_PREFILL
from otel_llm.journal.reader import LostCounts
from tests.contract.calls import Answer, Call, Leaver, ask, text
from tests.contract.engines import KV_BLOCKS, SEATS, Feature, Site
from tests.contract.journals import Journal, Request, Step, wait_for

CALLS, CALLERS = 30, 12


class Load(NamedTuple):
    """What was asked of an engine, and all that it told.

    Attributes:
        site: the engine.
        answered: each call that was read to its end.
        before: ids of requests that came before.
        requests: every request, those before included.
        cores: journal and steps of each engine core.
    """

    site: Site
    answered: list[tuple[Call, Answer]]
    before: set[str]
    requests: list[Request]
    cores: list[tuple[Journal, list[Step]]]

    def parts(self) -> Iterator[tuple[Request, list[int]]]:
        """Requests that ran, each with where its steps' parts ended."""
        for one in self.requests:
            if one.parts:
                yield one, [part.context + part.tokens for part in one.parts]


def calls() -> list[Call]:
    """Of every kind, and first some so long that two of them do not fit into the KV cache."""
    rng = random.Random(7)
    shared = text(160)
    long = [Call(prompt=text(100), max_tokens=800) for _ in range(SEATS)]
    return long + [
        Call(
            endpoint="completions" if number % 2 else "chat/completions",
            prompt=(shared if number % 4 == 0 else "") + text(rng.randint(1, 150)),
            max_tokens=rng.choice([1, 2, 30, 60]),
            n=2 if number % 7 == 0 else 1,
            stream=number % 3 == 0,
        )
        for number in range(CALLS - SEATS)
    ]


@pytest.fixture(scope="package")
def load(site: Site) -> Load:
    """The calls at once, every sixth of them left after some of its answer, or before any."""

    def send(numbered: tuple[int, Call]) -> Answer | None:
        number, call = numbered
        if number % 6 != 5:
            return ask(site, call)
        caller = Leaver(site, call._replace(stream=True, max_tokens=350))
        caller.read(number * 40)
        caller.leave()
        return None

    before = {one.arrived.request_id for one in site.journals.requests()}
    everything = calls()
    with ThreadPoolExecutor(CALLERS) as pool:
        answers = list(pool.map(send, enumerate(everything)))
    answered = [(c, a) for c, a in zip(everything, answers, strict=True) if a is not None]

    def idle() -> bool:
        done = all(s.done for journal in site.journals.cores() for s in journal.steps())
        return done and site.journals.settled()

    wait_for(idle, "all facts of the load")
    cores = [(journal, journal.steps()) for journal in site.journals.cores()]
    return Load(site, answered, before, site.journals.requests(), cores)


def test_the_load_is_one(load: Load) -> None:
    """Requests wait, share steps and prefixes, are preempted and cancelled: the laws have work."""
    every = [step.scheduled for _, own in load.cores for step in own]
    assert max(len(step.request_index) for step in every) == SEATS
    assert max(step.waiting for step in every) > 0
    assert {one.outcome for one in load.requests} == {"finished", "cancelled"}
    if Feature.PREFIX_CACHE in load.site.engine.features:
        assert sum(one.ended.cached_tokens for one in load.requests) > 0
    if Feature.PREEMPTION in load.site.engine.features:
        assert sum(one.ended.preemptions for one in load.requests) > 0
        assert sum(one.ended.recomputed_tokens for one in load.requests) > 0


def test_nothing_is_lost(load: Load) -> None:
    """No record was dropped, damaged or overwritten, and no hook failed."""
    for journal in load.site.journals.read():
        assert (journal.counters.dropped, journal.counters.swallowed) == (0, 0)
        assert journal.lost == LostCounts()


def test_each_sequence_of_each_call_is_one_request(load: Load) -> None:
    """Each answered call has as many requests as choices; what is left over was left."""
    found = {one.arrived.request_id: one for one in load.requests}
    assert len(found) == len(load.requests)
    for request_id in load.before:
        del found[request_id]
    for call, answer in load.answered:
        own = [one for one in load.requests if one.arrived.api_request_id == answer.id]
        assert (answer.status, len(own)) == (200, call.n)
        assert {one.outcome for one in own} == {"finished"}
        assert {one.ended.output_tokens for one in own} == {call.max_tokens}
        for one in own:
            del found[one.arrived.request_id]
    assert len(found) > 0
    assert {one.arrived.traceparent is None for one in found.values()} == {False}


def test_every_account_is_exact(load: Load) -> None:
    """Tokens over a request's steps are its account, term by term, however it ended."""
    for one in load.requests:
        end = one.ended
        assert sum(part.tokens for part in one.parts) == (
            one.arrived.prompt_tokens - end.unscheduled_tokens - end.cached_tokens
            + max(end.output_tokens - 1, 0)
            + end.recomputed_tokens + end.rejected_tokens + end.discarded_tokens
        ), one  # fmt: skip
        if end.outcome == "finished":
            assert end.unscheduled_tokens == 0


def test_every_member_of_a_step_is_a_request(load: Load) -> None:
    """No index stands for nobody, none stands twice in a batch, and no batch is empty."""
    for journal, own in load.cores:
        known = [one.arrived.index for one in load.requests if one.arrived in journal.records]
        for step, _ in own:
            assert step.request_index
            assert len(set(step.request_index)) == len(step.request_index)
            assert set(step.request_index) <= set(known)
            assert min(step.tokens) > 0


def test_steps_are_numbered_and_have_results(load: Load) -> None:
    """Numbers rise strictly; each step's result is later than its schedule."""
    for _, own in load.cores:
        numbers = [step.seq for step, _ in own]
        assert all(before < after for before, after in itertools.pairwise(numbers))
        stamps = [step.schedule_ns for step, _ in own]
        assert stamps == sorted(stamps)
        for step, done in own:
            assert done is not None
            assert done.result_ns >= step.schedule_ns
            assert len(done.emitted) == len(step.request_index)


def test_a_context_is_where_the_step_before_ended(load: Load) -> None:
    """But for preemptions and rejected drafts a request goes on where it was."""
    for one, ends in load.parts():
        contexts = [part.context for part in one.parts]
        breaks = [
            (before, after) for before, after in zip(ends, contexts[1:], strict=False)
            if before != after
        ]  # fmt: skip
        if not one.ended.rejected_tokens:
            assert len(breaks) <= one.ended.preemptions
        if not one.ended.preemptions:
            assert contexts[0] == one.ended.cached_tokens
        assert contexts[0] <= one.ended.cached_tokens < one.arrived.prompt_tokens


def test_phases_are_right(load: Load) -> None:
    """Whoever works through its prompt prefills. Past it, it decodes unless it was preempted."""
    for one in load.requests:
        for part in one.parts:
            if part.context < one.arrived.prompt_tokens:
                assert part.phase == PHASE_PREFILL
            elif not one.ended.preemptions:
                assert part.phase == PHASE_DECODE


def test_output_tokens_are_what_steps_emitted(load: Load) -> None:
    """Each output token came of one step, the first one of the last prefill."""
    for one in load.requests:
        emitted = [part.emitted or 0 for part in one.parts]
        assert sum(emitted) == one.ended.output_tokens
        for part in one.parts:
            if part.context + part.tokens < one.arrived.prompt_tokens:
                assert part.emitted == 0


def test_stamps_follow_each_other(load: Load) -> None:
    """However it ended: what is known of arrival, queue, schedule, tokens and end is in order."""
    for one in load.requests:
        end = one.ended
        core = [end.queued_ns, end.scheduled_ns, end.first_token_ns, end.last_token_ns]
        api = [one.arrival_ns, end.first_token_ns, one.first_output_ns, one.finished_ns]
        for stamps in (core, api):
            known = [stamp for stamp in stamps if stamp is not None]
            assert known == sorted(known), one
        assert (end.first_token_ns is not None) == (end.output_tokens > 0)
        if one.outcome == "finished":
            assert one.first_output_ns is not None


def test_running_and_waiting_are_plausible(load: Load) -> None:
    """At schedule time: no more than are open, no fewer than facts say are in the queue."""
    for _, own in load.cores:
        since = 0
        for step, done in own:
            assert len(step.request_index) <= step.running <= SEATS
            assert 0 < step.kv_used <= step.kv_total
            assert step.kv_total <= KV_BLOCKS
            now = step.schedule_ns
            is_open = sum(one.arrival_ns <= now <= one.finished_ns for one in load.requests)
            assert step.running + step.waiting <= is_open
            # Queued before the last result: the scheduler has seen it. Scheduled later, or never.
            queued = sum(
                (one.ended.queued_ns or now) < since
                and now < (one.ended.scheduled_ns or one.ended.finished_ns)
                for one in load.requests
                if one.ended.scheduled_ns is not None
            )
            assert step.waiting >= queued
            since = 0 if done is None else done.result_ns
