"""Requests that lose their place in the batch, and what they compute again."""

from collections.abc import Callable

import pytest

from tests.engines.vllm.real.conftest import MakeEngine
from tests.engines.vllm.real.drive import STOP, Engine
from tests.engines.vllm.real.journals import Facts, Member

CoreFacts = Callable[[], Facts]
pytestmark = pytest.mark.vllm
RUNNERS = pytest.mark.parametrize("second_runner", [False, True])


def _short(engine: MakeEngine, **shape: object) -> Engine:
    """An engine in which two requests of 8 tokens do not both fit to their ends."""
    one = engine(**({"blocks": 8} | shape))
    one.add("a", 8, max_tokens=15)
    one.add("b", 8, max_tokens=15)
    return one


@RUNNERS
def test_short_of_blocks(engine: MakeEngine, core_facts: CoreFacts, *, second_runner: bool) -> None:
    """The request that is resumed computes its prompt and its tokens so far again.

    Seven blocks of four tokens hold both requests up to twelve tokens each; the thirteenth token
    of the first takes the last block, that of the second has none. The second model runner gets a
    resumed request as a new one.
    """
    one = _short(engine, second_runner=second_runner, caching=False)
    one.run()
    facts = core_facts()
    facts.check()
    again = facts.finished["b"]
    assert (again.preemptions, again.output_tokens) == (1, 15)
    before, after = facts.of("b")[:5], facts.of("b")[5:]
    assert [member.context for member in before] == [0, 8, 9, 10, 11]
    assert after[0] == Member("prefill", 13, 0, emitted=1)
    assert again.recomputed_tokens == 12
    assert facts.scheduled("b") == 22 + 12
    assert facts.finished["a"].recomputed_tokens == 0


@RUNNERS
def test_a_stale_result_counts(
    engine: MakeEngine, core_facts: CoreFacts, *, second_runner: bool
) -> None:
    """Preempted with a step in flight, a request keeps the token of that step."""
    one = _short(engine, asynchronous=True, second_runner=second_runner)
    last = one.scheduler.requests["b"]
    one.schedule()
    while not last.num_preemptions:
        one.schedule()
        one.result()
    assert last.num_stale_output_tokens == 0 or one.flying
    tokens_at_preemption = last.num_output_tokens
    while one.flying:
        one.result()
    one.run(depth=2)
    facts = core_facts()
    facts.check()
    finished = facts.finished["b"]
    assert tokens_at_preemption < 15
    assert finished.output_tokens == 15
    assert (finished.discarded_tokens, finished.rejected_tokens) == (0, 0)
    resumed = next(m for m in facts.of("b")[1:] if m.phase == "prefill")
    assert finished.recomputed_tokens == resumed.tokens - 1


def test_a_stale_stop(engine: MakeEngine, core_facts: CoreFacts) -> None:
    """A stop token in a stale result ends a request that waits to be resumed."""
    one = _short(engine, asynchronous=True)
    last = one.scheduler.requests["b"]
    one.schedule()
    one.schedule()
    while not last.num_preemptions:
        one.result()
        one.schedule()
    assert last.num_stale_output_tokens
    one.result(tokens={"b": [STOP]})
    one.run(depth=2)
    facts = core_facts()
    facts.check()
    finished = facts.finished["b"]
    assert (finished.outcome, finished.finish_reason) == ("finished", "stop")
    assert (finished.preemptions, finished.recomputed_tokens) == (1, 0)


def test_stale_drafts_are_rejected(engine: MakeEngine, core_facts: CoreFacts) -> None:
    """Rejected drafts of a stale result count as rejected, and not also as recomputed."""
    one = _short(engine, asynchronous=True, drafts=3, blocks=10)
    last = one.scheduler.requests["b"]
    one.schedule()
    one.schedule()
    while not last.num_preemptions:
        one.result(accept=1)
        one.schedule()
    assert last.num_stale_output_tokens
    while one.flying:
        one.result(accept=1)
    one.run(depth=2, accept=1)
    facts = core_facts()
    facts.check()
    assert facts.finished["b"].preemptions >= 1
    assert facts.finished["b"].rejected_tokens > 0


def test_resumed_with_its_own_blocks_in_the_cache(
    engine: MakeEngine, core_facts: CoreFacts
) -> None:
    """Blocks that survive in the prefix cache are context when it is resumed, never cached tokens.

    The request had computed them itself: nobody saved it anything.
    """
    one = engine(blocks=12)
    one.add("a", 8, max_tokens=4)
    last = one.add("b", 8, max_tokens=30)
    one.step()
    one.step()
    one.scheduler.running.remove(last)
    one.scheduler._preempt_request(last, 0.0)
    one.run()
    facts = core_facts()
    facts.check()
    finished = facts.finished["b"]
    assert facts.of("b")[2] == Member("prefill", 2, 8, emitted=1)
    assert (finished.cached_tokens, finished.recomputed_tokens) == (0, 1)


def test_resumed_beyond_what_it_had_computed(engine: MakeEngine, core_facts: CoreFacts) -> None:
    """Tokens that another request has put into the cache meanwhile are cached tokens."""
    one = engine(batched_tokens=16)
    prompt = list(range(20, 60))
    first = one.add("a", prompt, max_tokens=4)
    one.step()
    one.scheduler.running.remove(first)
    one.scheduler._preempt_request(first, 0.0)
    one.scheduler.waiting.remove_request(first)
    one.add("b", prompt, max_tokens=4)
    one.step()
    one.step()
    one.scheduler.waiting.prepend_request(first)
    one.run()
    facts = core_facts()
    facts.check()
    finished = facts.finished["a"]
    assert [member.context for member in facts.of("a")][:2] == [0, 36]
    assert finished.cached_tokens == 36 - 16
    assert (finished.recomputed_tokens, finished.preemptions) == (0, 1)


@pytest.mark.parametrize("asynchronous", [False, True])
def test_preempted_between_chunks(
    engine: MakeEngine, core_facts: CoreFacts, *, asynchronous: bool
) -> None:
    """A prompt's chunks before the preemption are recomputed, those after it are not."""
    one = engine(batched_tokens=16, caching=False, asynchronous=asynchronous)
    request = one.add("a", 40, max_tokens=2)
    one.step()
    one.scheduler.running.remove(request)
    one.scheduler._preempt_request(request, 0.0)
    one.run(depth=2 if asynchronous else 1)
    facts = core_facts()
    facts.check()
    finished = facts.finished["a"]
    assert (finished.recomputed_tokens, finished.preemptions) == (16, 1)
    assert facts.scheduled("a") == 16 + 41


def test_preempted_while_it_recomputes(engine: MakeEngine, core_facts: CoreFacts) -> None:
    """Preempted again before the first loss is made up: each token counts once per time."""
    one = engine(batched_tokens=16, caching=False)
    request = one.add("a", 40, max_tokens=3)
    for steps in (4, 2, 1):
        for _ in range(steps):
            one.step()
        one.scheduler.running.remove(request)
        one.scheduler._preempt_request(request, 0.0)
    one.run()
    facts = core_facts()
    facts.check()
    finished = facts.finished["a"]
    assert finished.preemptions == 3
    assert finished.recomputed_tokens == 32 + 16 + 41
    assert facts.scheduled("a") == 42 + finished.recomputed_tokens


def test_aborted_while_it_recomputes(engine: MakeEngine, core_facts: CoreFacts) -> None:
    """Ended before it is where it was, a request has nothing unscheduled."""
    one = engine(batched_tokens=16, caching=False)
    request = one.add("a", 40, max_tokens=9)
    for _ in range(4):
        one.step()
    one.scheduler.running.remove(request)
    one.scheduler._preempt_request(request, 0.0)
    one.step()
    one.schedule()
    one.abort("a")
    one.result()
    facts = core_facts()
    facts.check()
    finished = facts.finished["a"]
    assert (finished.output_tokens, finished.unscheduled_tokens) == (2, 0)
    assert (finished.recomputed_tokens, finished.discarded_tokens) == (32, 0)


@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("drafts", [0, 3])
def test_reset_of_the_prefix_cache(
    depth: int, drafts: int, engine: MakeEngine, core_facts: CoreFacts
) -> None:
    """A reset drops the results in flight: those tokens are discarded and scheduled once more."""
    one = engine(asynchronous=True, drafts=drafts)
    one.add("a", 8, max_tokens=30)
    one.step()
    one.step()
    for _ in range(depth):
        one.schedule()
    tokens = sum(flight.output.num_scheduled_tokens["a"] for flight in one.flying)
    assert one.scheduler.reset_prefix_cache(reset_running_requests=True)
    one.schedule()
    for _ in range(depth + 1):
        one.result()
    one.run(depth=2)
    facts = core_facts()
    facts.check()
    finished = facts.finished["a"]
    assert (finished.preemptions, finished.output_tokens) == (1, 30)
    members = facts.of("a")
    assert members[2 + depth].phase == "prefill"
    assert members[2 + depth].context == 0
    assert [member.emitted for member in members[2 : 2 + depth]] == [0] * depth
    assert (finished.discarded_tokens, finished.recomputed_tokens) == (tokens, 9)


@pytest.mark.parametrize("asynchronous", [False, True])
def test_reset_during_prefill(
    engine: MakeEngine, core_facts: CoreFacts, *, asynchronous: bool
) -> None:
    """A chunk of the prompt whose result is dropped is recomputed, not discarded."""
    one = engine(asynchronous=asynchronous, batched_tokens=16)
    one.add("a", 40, max_tokens=3)
    one.step()
    one.schedule()
    one.scheduler.reset_prefix_cache(reset_running_requests=True)
    one.result()
    one.run(depth=2 if asynchronous else 1)
    facts = core_facts()
    facts.check()
    finished = facts.finished["a"]
    assert (finished.discarded_tokens, finished.recomputed_tokens) == (0, 32)


def test_aborted_after_a_reset(engine: MakeEngine, core_facts: CoreFacts) -> None:
    """A request that ends while its dropped result is in flight has that result discarded once."""
    one = engine(asynchronous=True)
    one.add("a", 8, max_tokens=30)
    one.step()
    one.step()
    one.schedule()
    one.scheduler.reset_prefix_cache(reset_running_requests=True)
    one.schedule()
    one.abort("a")
    one.result()
    one.result()
    facts = core_facts()
    facts.check()
    finished = facts.finished["a"]
    assert (finished.output_tokens, finished.recomputed_tokens) == (2, 9)
    assert finished.discarded_tokens == 2


@pytest.mark.parametrize("asynchronous", [False, True])
def test_priority(engine: MakeEngine, core_facts: CoreFacts, *, asynchronous: bool) -> None:
    """Under the priority policy the least urgent request goes, even out of the batch being made.

    vLLM takes back what it had scheduled for it in this step: the step must not name it.
    """
    one = engine(asynchronous=asynchronous, blocks=8, policy="priority")
    one.add("low", 8, max_tokens=15, priority=5)
    one.add("high", 8, max_tokens=15, priority=1)
    one.run(depth=2 if asynchronous else 1)
    facts = core_facts()
    facts.check()
    assert facts.finished["low"].preemptions >= 1
    assert facts.finished["high"].preemptions == 0
    facts.check_steps(one)
