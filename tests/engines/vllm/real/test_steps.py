"""Batches as the scheduler makes them, and the life of requests that nothing disturbs."""

from collections.abc import Callable

import pytest

from tests.engines.vllm.real.config import EOS
from tests.engines.vllm.real.conftest import MakeEngine
from tests.engines.vllm.real.drive import STOP
from tests.engines.vllm.real.journals import Facts, Member

CoreFacts = Callable[[], Facts]
pytestmark = pytest.mark.vllm


def test_a_request_from_prompt_to_limit(engine: MakeEngine, core_facts: CoreFacts) -> None:
    """One prefill step that makes the first token, then one decode step for each other token."""
    one = engine()
    one.add("a", 8, max_tokens=3)
    one.run()
    facts = core_facts()
    facts.check()
    assert facts.of("a") == [
        Member("prefill", 8, 0, emitted=1),
        Member("decode", 1, 8, emitted=1),
        Member("decode", 1, 9, emitted=1),
    ]
    arrived, finished = facts.arrived["a"], facts.finished["a"]
    assert (arrived.prompt_tokens, arrived.max_tokens, arrived.frontend) == (8, 3, "")
    assert (finished.outcome, finished.finish_reason) == ("finished", "length")
    assert (finished.output_tokens, finished.cached_tokens, finished.preemptions) == (3, 0, 0)


def test_a_batch_of_two_phases(engine: MakeEngine, core_facts: CoreFacts) -> None:
    """A step's arrays hold each member's own phase, tokens and context before the step."""
    one = engine()
    one.add("a", 8, max_tokens=4)
    one.step()
    one.add("b", 5, max_tokens=4)
    one.step()
    facts = core_facts()
    assert facts.steps[1].members == {
        "a": Member("decode", 1, 8, emitted=1),
        "b": Member("prefill", 5, 0, emitted=1),
    }
    assert facts.steps[1].done is not None
    assert facts.steps[1].scheduled.schedule_ns <= facts.steps[1].done.result_ns


def test_the_scheduler_at_schedule_time(engine: MakeEngine, core_facts: CoreFacts) -> None:
    """Running, waiting and KV blocks are those of the moment at which the batch was made."""
    one = engine(max_seqs=2, blocks=20)
    for name in "abc":
        one.add(name, 8, max_tokens=2)
    one.step()
    one.step()
    one.run()
    first, second, third, *_ = (step.scheduled for step in core_facts().steps)
    assert (first.running, first.waiting, first.kv_used, first.kv_total) == (2, 1, 4, 19)
    assert (second.running, second.waiting, second.kv_used, second.kv_total) == (2, 1, 6, 19)
    assert (third.running, third.waiting, third.kv_used, third.kv_total) == (1, 0, 2, 19)


def test_asynchronous_scheduling(engine: MakeEngine, core_facts: CoreFacts) -> None:
    """Step N+1 is scheduled before result N; contexts count what is in flight."""
    one = engine(asynchronous=True)
    one.add("a", 8, max_tokens=3)
    one.schedule()
    one.schedule()
    one.result()
    one.schedule()
    one.result()
    one.result()
    facts = core_facts()
    facts.check()
    assert facts.of("a") == [
        Member("prefill", 8, 0, emitted=1),
        Member("decode", 1, 8, emitted=1),
        Member("decode", 1, 9, emitted=1),
    ]
    first, second, third = facts.steps
    assert first.done is not None
    assert second.done is not None
    assert second.scheduled.schedule_ns <= first.done.result_ns <= third.scheduled.schedule_ns
    assert facts.finished["a"].discarded_tokens == 0


@pytest.mark.parametrize("stop", [STOP, EOS])
def test_a_stop_token_with_the_next_step_in_flight(
    stop: int, engine: MakeEngine, core_facts: CoreFacts
) -> None:
    """What the next step computed for a request that has just stopped is discarded."""
    one = engine(asynchronous=True)
    one.add("a", 8)
    one.add("b", 8)
    one.schedule()
    one.schedule()
    one.result()
    one.schedule()
    one.result(tokens={"a": [stop]})
    one.result()
    facts = core_facts()
    facts.check_account("a")
    facts.check_stamps("a")
    assert [member.emitted for member in facts.of("a")] == [1, 1, 0]
    finished = facts.finished["a"]
    assert (finished.outcome, finished.finish_reason) == ("finished", "stop")
    assert (finished.output_tokens, finished.discarded_tokens) == (2, 1)
    assert facts.steps[2].members["b"].emitted == 1


def test_three_steps_in_flight(engine: MakeEngine, core_facts: CoreFacts) -> None:
    """Every step in flight at a request's end is discarded, as many as there are."""
    one = engine(asynchronous=True)
    one.add("a", 8, max_tokens=20)
    for _ in range(3):
        one.schedule()
    one.result(tokens={"a": [STOP]})
    one.result()
    one.result()
    facts = core_facts()
    facts.check()
    assert facts.finished["a"].discarded_tokens == 2
    assert [member.emitted for member in facts.of("a")] == [1, 0, 0]


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_prompt_in_chunks(
    engine: MakeEngine, core_facts: CoreFacts, *, asynchronous: bool
) -> None:
    """A prompt longer than a step's budget prefills over several steps; the last makes a token."""
    one = engine(asynchronous=asynchronous, batched_tokens=16)
    one.add("a", 40, max_tokens=2)
    one.run(depth=2 if asynchronous else 1)
    facts = core_facts()
    facts.check()
    assert facts.of("a") == [
        Member("prefill", 16, 0),
        Member("prefill", 16, 16),
        Member("prefill", 8, 32, emitted=1),
        Member("decode", 1, 40, emitted=1),
    ]


def test_a_prefix_from_the_cache(engine: MakeEngine, core_facts: CoreFacts) -> None:
    """Tokens from the prefix cache are the first step's context and are counted as cached."""
    one = engine()
    shared = list(range(20, 32))
    one.add("a", [*shared, 5, 6], max_tokens=2)
    one.run()
    one.add("b", [*shared, 7, 8], max_tokens=2)
    one.run()
    facts = core_facts()
    facts.check()
    assert facts.of("b")[0] == Member("prefill", 2, 12, emitted=1)
    assert facts.finished["a"].cached_tokens == 0
    assert facts.finished["b"].cached_tokens == 12


def test_a_prompt_that_is_wholly_cached(engine: MakeEngine, core_facts: CoreFacts) -> None:
    """At least the last token is computed again, in whole blocks; the rest is cached."""
    one = engine()
    for name in ("a", "b"):
        one.add(name, list(range(20, 32)), max_tokens=2)
        one.run()
    facts = core_facts()
    facts.check()
    assert facts.of("b")[0] == Member("prefill", 4, 8, emitted=1)
    assert facts.finished["b"].cached_tokens == 8


def test_empty_schedules_between(engine: MakeEngine, core_facts: CoreFacts) -> None:
    """A schedule without members is no step, and the steps around it keep their numbers."""
    one = engine(asynchronous=True)
    one.add("a", 8, max_tokens=1)
    one.schedule()
    assert one.schedule().total_num_scheduled_tokens == 0
    one.result()
    one.result()
    one.add("b", 8, max_tokens=1)
    one.run()
    facts = core_facts()
    facts.check()
    assert [list(step.members) for step in facts.steps] == [["a"], ["b"]]
    assert all(step.done is not None for step in facts.steps)


@pytest.mark.parametrize("asynchronous", [False, True])
def test_pooling(engine: MakeEngine, core_facts: CoreFacts, *, asynchronous: bool) -> None:
    """An embedding has an operation of its own, prefill steps alone and no output tokens."""
    one = engine(pooling=True, asynchronous=asynchronous, batched_tokens=16)
    one.add("a", 8)
    one.add("b", 20)
    one.run(depth=2 if asynchronous else 1)
    facts = core_facts()
    facts.check()
    assert facts.arrived["a"].operation == "embeddings"
    assert facts.arrived["a"].max_tokens is None
    finished = facts.finished["b"]
    assert (finished.outcome, finished.finish_reason) == ("finished", "stop")
    assert (finished.output_tokens, finished.first_token_ns) == (0, None)
    assert {member.phase for member in facts.of("b")} == {"prefill"}
    assert facts.scheduled("b") == 20


def test_without_statistics(engine: MakeEngine, core_facts: CoreFacts) -> None:
    """`--disable-log-stats` takes nothing from the facts."""
    one = engine(log_stats=False)
    one.add("a", 8, max_tokens=3)
    one.run()
    facts = core_facts()
    facts.check()
    assert facts.finished["a"].output_tokens == 3
    assert facts.finished["a"].queued_ns is not None


def test_two_cores_have_their_own_journals(engine: MakeEngine, hooks: object) -> None:
    """Each scheduler writes its own journal, under its data-parallel rank."""
    from pathlib import Path

    from tests.engines.vllm.real.journals import read

    for rank in (0, 1):
        one = engine(dp_rank=rank)
        one.add(f"on-{rank}", 8, max_tokens=2)
        one.run()
    both = read(Path(str(hooks)), "engine")
    assert [facts.producer.dp_rank for facts in both] == [0, 1]
    assert [list(facts.finished) for facts in both] == [["on-0"], ["on-1"]]


def test_an_id_that_comes_again(engine: MakeEngine, core_facts: CoreFacts) -> None:
    """A request with the id of one that has ended is another request, in the same batch place."""
    one = engine()
    one.add("a", 8, max_tokens=2)
    one.run()
    one.add("a", 9, max_tokens=3)
    one.run()
    facts = core_facts()
    facts.check()
    first, second = facts.finished.values()
    assert (first.output_tokens, second.output_tokens) == (2, 3)


def test_the_step_has_its_identity_on_the_batch(engine: MakeEngine, core_facts: CoreFacts) -> None:
    """Workers find instance, rank and number of the step on the scheduler's output."""
    one = engine(dp_rank=3)
    one.add("a", 8, max_tokens=2)
    outputs = [one.schedule()]
    one.result()
    outputs.append(one.schedule())
    one.result()
    facts = core_facts()
    instance = facts.producer.instance_id
    marks = [getattr(output, "otel_llm_step", None) for output in outputs]
    assert marks == [(instance, 3, step.scheduled.seq) for step in facts.steps]
