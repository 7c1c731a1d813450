"""Steps and ends of requests as the engine core's hooks record them."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TypeVar

import pytest

from otel_llm.engines.vllm import core, extract
from otel_llm.engines.vllm.core_hooks import CORE
from otel_llm.facts.request import RequestArrived, RequestFinished
from otel_llm.facts.step import PHASE_DECODE, PHASE_PREFILL, StepDone, StepScheduled
from otel_llm.testing import Swallowed
from tests.engines.vllm.core_followed import Kept, followed
from tests.engines.vllm.core_objects import ModelRunnerOutput, Request, SchedulerOutput
from tests.engines.vllm.core_scheduler import Scheduler, Shape

R = TypeVar("R")


class Calm(random.Random):
    """No chance: whole chunks, no stop token."""

    def random(self) -> float:
        """Never below any likelihood."""
        return 0.999


@contextmanager
def calm(shape: Shape) -> Iterator[tuple[Scheduler, Kept]]:
    """A scheduler that does what is asked."""
    with followed(shape, Calm()) as (scheduler, kept):
        scheduler.cache_hits = False
        yield scheduler, kept


@pytest.fixture
def engine() -> Iterator[tuple[Scheduler, Kept]]:
    """A synchronous one."""
    with calm(Shape()) as made:
        yield made


def of(kept: Kept, kind: type[R]) -> list[R]:
    """The facts of one kind."""
    return [one for one in kept if isinstance(one, kind)]


def step(scheduler: Scheduler, **tokens: list[int]) -> SchedulerOutput:
    """Schedule a step and bring in its result: what is given, else one token each."""
    output = scheduler.schedule()
    scheduler.update_from_output(output, result(output, **tokens))
    return output


def result(output: SchedulerOutput, **tokens: list[int]) -> ModelRunnerOutput:
    """A result: what is given, else one token each."""
    ids = list(output.num_scheduled_tokens)
    return ModelRunnerOutput(
        ids, {one: place for place, one in enumerate(ids)}, [tokens.get(one, [1]) for one in ids]
    )


def test_a_batch_as_it_was_scheduled(engine: tuple[Scheduler, Kept]) -> None:
    """Known members come first, then new ones; the counts are read when it has been scheduled."""
    scheduler, kept = engine
    scheduler.add_request(Request("a", 5))
    step(scheduler)
    scheduler.add_request(Request("b", 80))
    scheduler.add_request(Request("c", 4))
    scheduler.kv_cache_manager.block_pool.free_block_queue.num_free_blocks = 90
    step(scheduler, b=[])
    second = of(kept, StepScheduled)[1]
    names = {one.index: one.request_id for one in of(kept, RequestArrived)}
    assert [names[index] for index in second.request_index] == ["a", "b"]
    assert second.phase == bytes([PHASE_DECODE, PHASE_PREFILL])
    assert (second.tokens, second.context) == ([1, 63], [5, 0])
    assert (second.running, second.waiting) == (2, 1)
    assert (second.kv_used, second.kv_total) == (10, 100)
    assert [one.emitted for one in of(kept, StepDone)] == [[1], [1, 0]]


def test_steps_that_only_decode(engine: tuple[Scheduler, Kept]) -> None:
    """Members, tokens and contexts are those of each step, and so is the order after an end."""
    scheduler, kept = engine
    for name, limit in (("a", 3), ("b", 9), ("c", 9)):
        scheduler.add_request(Request(name, 5, max_tokens=limit))
    for _ in range(5):
        step(scheduler)
    steps = of(kept, StepScheduled)[1:]
    assert [one.request_index for one in steps] == [[1, 2, 3], [1, 2, 3], [2, 3], [2, 3]]
    assert [one.context for one in steps] == [[5] * 3, [6] * 3, [7] * 2, [8] * 2]
    assert [one.tokens for one in steps] == [[1] * 3, [1] * 3, [1] * 2, [1] * 2]
    assert {one.phase for one in steps} == {bytes([PHASE_DECODE] * n) for n in (2, 3)}


def test_a_later_input_of_a_session(engine: tuple[Scheduler, Kept]) -> None:
    """A member that decodes may get more than one token without drafts; each step says how many."""
    scheduler, kept = engine
    for name in ("a", "b"):
        scheduler.add_request(Request(name, 5, max_tokens=30))
    step(scheduler)
    step(scheduler)
    scheduler.requests["a"].output += [3, 3, 3]  # as vLLM puts a session's next input in
    step(scheduler)
    step(scheduler)
    steps = of(kept, StepScheduled)[1:]
    assert [one.tokens for one in steps] == [[1, 1], [4, 1], [1, 1]]
    assert [one.context for one in steps] == [[5, 5], [6, 6], [10, 7]]
    assert {one.phase for one in steps} == {bytes([PHASE_DECODE] * 2)}


def test_requests_that_wait_and_hold_blocks(engine: tuple[Scheduler, Kept]) -> None:
    """They wait as much as those in the queue."""
    scheduler, kept = engine
    scheduler.add_request(Request("a", 64))
    scheduler.add_request(Request("b", 5))
    scheduler.kv_holding_waiting += [Request("c", 5), Request("d", 5)]
    step(scheduler)
    scheduler.kv_holding_waiting.clear()
    step(scheduler)
    assert [one.waiting for one in of(kept, StepScheduled)] == [3, 0]


def test_a_step_s_identity_goes_to_the_workers(engine: tuple[Scheduler, Kept]) -> None:
    """The output names instance, rank and number of the step; one without tokens is none."""
    scheduler, kept = engine
    assert not hasattr(step(scheduler), "otel_llm_step")
    scheduler.add_request(Request("a", 5))
    assert step(scheduler).otel_llm_step == ("i", 0, 1)  # type: ignore[attr-defined]
    assert step(scheduler).otel_llm_step == ("i", 0, 2)  # type: ignore[attr-defined]
    assert [one.seq for one in of(kept, StepScheduled)] == [1, 2]
    assert [one.seq for one in of(kept, StepDone)] == [1, 2]


def test_results_come_in_while_other_steps_are_in_flight() -> None:
    """Each result belongs to its own step; an empty output between them disturbs nothing."""
    with calm(Shape(ahead=True)) as (scheduler, kept):
        scheduler.add_request(Request("a", 5))
        first, second = scheduler.schedule(), scheduler.schedule()
        scheduler.requests["a"].sampling_params.max_tokens = 1
        empty = scheduler.schedule()
        assert not empty.num_scheduled_tokens
        scheduler.update_from_output(empty, ModelRunnerOutput([], {}, []))
        scheduler.update_from_output(first, result(first))
        scheduler.update_from_output(second, result(second))
        kinds = [type(one) for one in kept]
    assert [(one.seq, one.emitted) for one in of(kept, StepDone)] == [(1, [1]), (2, [0])]
    assert kinds == [
        RequestArrived, StepScheduled, StepScheduled, StepDone, RequestFinished, StepDone,
    ]  # fmt: skip
    assert of(kept, RequestFinished)[0].discarded_tokens == 1


def test_the_end_stands_behind_the_result_that_brought_it(
    engine: tuple[Scheduler, Kept],
) -> None:
    """The request's stamps are those of its steps."""
    scheduler, kept = engine
    scheduler.add_request(Request("a", 5, max_tokens=3))
    for _ in range(3):
        step(scheduler)
    assert [type(one) for one in kept[-2:]] == [StepDone, RequestFinished]
    scheduled, done, (end,) = of(kept, StepScheduled), of(kept, StepDone), of(kept, RequestFinished)
    assert end.scheduled_ns == scheduled[0].schedule_ns
    assert (end.first_token_ns, end.last_token_ns) == (done[0].result_ns, done[2].result_ns)
    assert (end.outcome, end.finish_reason, end.output_tokens) == ("finished", "length", 3)
    assert end.queued_ns is not None
    assert end.queued_ns <= scheduled[0].schedule_ns <= done[0].result_ns <= end.finished_ns


def test_an_abort_between_steps(engine: tuple[Scheduler, Kept]) -> None:
    """Its end is written at once. Half of the prompt had never been scheduled."""
    scheduler, kept = engine
    scheduler.add_request(Request("a", 128))
    step(scheduler, a=[])
    scheduler.finish_requests(["a"])
    (end,) = of(kept, RequestFinished)
    assert (end.outcome, end.unscheduled_tokens, end.first_token_ns) == ("cancelled", 64, None)


def test_a_request_that_never_ran(engine: tuple[Scheduler, Kept]) -> None:
    """All of its prompt is unscheduled, and it has no schedule stamp."""
    scheduler, kept = engine
    scheduler.add_request(Request("a", 12))
    scheduler.finish_requests(["a"])
    (end,) = of(kept, RequestFinished)
    assert (end.unscheduled_tokens, end.scheduled_ns, end.cached_tokens) == (12, None, 0)


def test_an_error_within_an_update(engine: tuple[Scheduler, Kept]) -> None:
    """A request that vLLM fails while it takes a result in ends behind that result."""
    scheduler, kept = engine
    scheduler.add_request(Request("a", 5))
    output = scheduler.schedule()
    deliver = scheduler._deliver

    def fail(request: Request, tokens: list[int], *, stale: bool) -> list[int]:
        emitted = deliver(request, tokens, stale=stale)
        scheduler.finish_requests(["a"], "error")
        return emitted

    scheduler._deliver = fail  # type: ignore[method-assign]
    scheduler.update_from_output(output, result(output))
    assert [type(one) for one in kept[-2:]] == [StepDone, RequestFinished]
    (end,) = of(kept, RequestFinished)
    assert (end.outcome, end.error_type, end.output_tokens) == ("failed", "engine_error", 1)


def test_an_id_that_comes_again_is_another_request(engine: tuple[Scheduler, Kept]) -> None:
    """A caller may use a request id twice; each step names the request that it served."""
    scheduler, kept = engine
    for _ in range(2):
        scheduler.add_request(Request("a", 5, max_tokens=2))
        step(scheduler)
        step(scheduler)
    assert [one.index for one in of(kept, RequestArrived)] == [1, 2]
    assert [one.request_index for one in of(kept, StepScheduled)] == [[1], [1], [2], [2]]
    assert [one.index for one in of(kept, RequestFinished)] == [1, 2]


def test_a_pooling_request_ends_without_tokens(engine: tuple[Scheduler, Kept]) -> None:
    """A result of a pooling model has no token lists at all."""
    scheduler, kept = engine
    request = Request("a", 5)
    request.sampling_params, request.pooling_params = None, SimpleNamespace(task="embed")
    scheduler.add_request(request)
    output = scheduler.schedule()
    core = vars(scheduler)["otel_llm_core"]
    pooled = ModelRunnerOutput(["a"], {"a": 0}, [])
    core.update_begins(output, pooled)
    scheduler.finish_requests(["a"], "stop")
    core.update_ends(pooled)
    (arrived,), (done,), (end,) = (
        of(kept, RequestArrived), of(kept, StepDone), of(kept, RequestFinished),
    )  # fmt: skip
    assert (arrived.operation, arrived.max_tokens) == ("embeddings", None)
    assert done.emitted == [0]
    assert (end.output_tokens, end.unscheduled_tokens, end.first_token_ns) == (0, 0, None)


def test_how_it_ran_on_cuda_graphs(engine: tuple[Scheduler, Kept]) -> None:
    """Where vLLM says it, in its words; else nothing."""
    scheduler, kept = engine
    scheduler.add_request(Request("a", 5))
    step(scheduler)
    output = scheduler.schedule()
    told = result(output)
    told.cudagraph_stats = SimpleNamespace(runtime_mode="FULL")
    scheduler.update_from_output(output, told)
    assert [one.cudagraph_mode for one in of(kept, StepDone)] == ["", "FULL"]


def test_drafts_of_a_step() -> None:
    """Proposed with the schedule, accepted with the result; members without any have 0."""
    with calm(Shape(drafts=3)) as (scheduler, kept):
        scheduler.add_request(Request("a", 5))
        step(scheduler)
        scheduler.add_request(Request("b", 5))
        step(scheduler, a=[1, 1])
    scheduled, done = of(kept, StepScheduled)[1], of(kept, StepDone)[1]
    assert (scheduled.tokens, scheduled.drafts) == ([4, 5], [3, 0])
    assert (done.emitted, done.accepted) == ([2, 1], [1, 0])
    assert (of(kept, StepScheduled)[0].drafts, of(kept, StepDone)[0].accepted) == ([], [])


def test_steps_that_were_thrown_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fault tolerance drops batches: they are not kept, and their tokens are discarded."""
    monkeypatch.setattr(core, "MOST_IN_FLIGHT", 2)
    with calm(Shape(ahead=True)) as (scheduler, kept):
        scheduler.add_request(Request("a", 5))
        follower = vars(scheduler)[CORE]
        for _ in range(4):
            scheduler.schedule()
        assert [one.seq for one in follower._flights.values()] == [3, 4]
        assert follower._members.unsettled == {"a"}, "its first token is still to come"
        scheduler.finish_requests(["a"])
    (finished,) = of(kept, RequestFinished)
    scheduled = sum(sum(one.tokens) for one in of(kept, StepScheduled))
    assert finished.discarded_tokens == scheduled - 5 == 3


def test_an_end_that_cannot_be_read(
    engine: tuple[Scheduler, Kept], monkeypatch: pytest.MonkeyPatch, swallowed: Swallowed
) -> None:
    """It is counted; the ends that came up with it are written."""
    scheduler, kept = engine
    for name in "abc":
        scheduler.add_request(Request(name, 3, max_tokens=1))
    read = extract.end

    def fail(request: Request) -> extract.End:
        if request.request_id == "b":
            raise ValueError
        return read(request)

    monkeypatch.setattr(extract, "end", fail)
    step(scheduler)
    assert [one.index for one in of(kept, RequestFinished)] == [
        one.index for one in of(kept, RequestArrived) if one.request_id != "b"
    ]
    assert swallowed.places == ["vllm.core.request"]
    swallowed.clear()
