"""The accounts hold whatever the scheduler does: a model of it drives the hooks at random."""

import random
from collections import defaultdict
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_llm.facts.request import RequestArrived, RequestFinished
from otel_llm.facts.step import StepDone, StepScheduled
from tests.engines.vllm.core_followed import Kept, followed
from tests.engines.vllm.core_objects import Request
from tests.engines.vllm.core_scheduler import Scheduler, Shape

SHAPES = st.builds(
    Shape,
    ahead=st.booleans(),
    second_runner=st.booleans(),
    drafts=st.sampled_from([0, 0, 1, 3]),
    budget=st.sampled_from([8, 24, 64]),
)


def drive(scheduler: Scheduler, chance: random.Random, requests: list[Request]) -> None:
    """Everything a scheduler may see, in some order, until nothing is left."""
    depth = chance.choice([2, 3]) if scheduler.shape.ahead else 1
    waiting = list(requests)
    flying: list[Any] = []
    for turn in range(600):
        if waiting and chance.random() < 0.5:
            scheduler.add_request(waiting.pop())
        if scheduler.requests and chance.random() < 0.04:
            scheduler.finish_requests([chance.choice(list(scheduler.requests))])
        if chance.random() < 0.03:
            scheduler.reset_prefix_cache()
        if turn > 300:
            scheduler.preempts = False
        if len(flying) < depth and scheduler.requests:
            output = scheduler.schedule()
            if output.num_scheduled_tokens:
                flying.append((output, scheduler.run_model(output)))
            else:
                scheduler.update_from_output(output, scheduler.run_model(output))
        if flying and (len(flying) == depth or chance.random() < 0.4 or not scheduler.requests):
            output, result = flying.pop(0)
            if not scheduler.shape.ahead and chance.random() < 0.05:
                result.failed_loads = {chance.choice(list(output.num_scheduled_tokens))}
            scheduler.update_from_output(output, result)
        if not (waiting or flying or scheduler.requests):
            return
    pytest.fail("the model does not come to an end")


@settings(max_examples=200, deadline=None)
@given(shape=SHAPES, seed=st.integers(0, 2**32), drop=st.booleans(), count=st.integers(1, 6))
def test_every_account_is_exact(shape: Shape, seed: int, drop: bool, count: int) -> None:
    """For every request, however it ended, the tokens of its steps are its terms, each by itself.

    Each term is compared with an account that the model keeps in sets of positions.
    """
    chance = random.Random(seed)
    requests = [
        Request(f"r{number}", chance.randint(1, 40), chance.randint(1, 12))
        for number in range(count)
    ]
    with followed(shape, chance) as (scheduler, kept):
        scheduler.drop_mode = drop
        drive(scheduler, chance, requests)
    check(kept, requests)


def check(kept: Kept, requests: list[Request]) -> None:
    """The facts of a run against what the model knows of it."""
    arrived = {one.index: one for one in kept if isinstance(one, RequestArrived)}
    finished = {one.index: one for one in kept if isinstance(one, RequestFinished)}
    steps = [one for one in kept if isinstance(one, StepScheduled)]
    done = {one.seq: one for one in kept if isinstance(one, StepDone)}
    assert sorted(one.request_id for one in arrived.values()) == sorted(
        one.request_id for one in requests
    )
    assert sum(isinstance(one, RequestFinished) for one in kept) == len(requests) == len(finished)
    assert [one.seq for one in steps] == sorted(done)
    tokens: dict[int, int] = defaultdict(int)
    emitted: dict[int, int] = defaultdict(int)
    made: dict[int, list[int]] = defaultdict(list)
    for step in steps:
        for place, index in enumerate(step.request_index):
            tokens[index] += step.tokens[place]
            emitted[index] += done[step.seq].emitted[place]
            if done[step.seq].emitted[place]:
                made[index].append(done[step.seq].result_ns)
    by_id = {one.request_id: one for one in requests}
    for index, end in finished.items():
        request = by_id[arrived[index].request_id]
        truth, prompt = request.truth, request.num_prompt_tokens
        assert tokens[index] == truth.scheduled == (
            prompt - end.unscheduled_tokens - end.cached_tokens + max(end.output_tokens - 1, 0)
            + end.recomputed_tokens + end.rejected_tokens + end.discarded_tokens
        )  # fmt: skip
        assert emitted[index] == end.output_tokens == truth.emitted == request.num_output_tokens
        assert end.cached_tokens == truth.cached
        assert end.recomputed_tokens == truth.recomputed
        assert end.rejected_tokens == truth.rejected
        assert end.discarded_tokens == truth.discarded
        assert end.unscheduled_tokens == prompt - len(truth.covered & set(range(prompt)))
        assert end.preemptions == request.num_preemptions
        first_and_last = (made[index][0], made[index][-1]) if made[index] else (None, None)
        assert (end.first_token_ns, end.last_token_ns) == first_and_last
