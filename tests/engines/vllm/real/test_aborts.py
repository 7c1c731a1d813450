"""Requests that end early: where they were decides what was scheduled for nothing."""

from collections.abc import Callable

import pytest
from vllm.v1.engine.core import EngineCoreProc, EngineShutdownState
from vllm.v1.request import RequestStatus

from tests.engines.vllm.real.conftest import MakeEngine
from tests.engines.vllm.real.journals import Facts

CoreFacts = Callable[[], Facts]
pytestmark = pytest.mark.vllm
BOTH = pytest.mark.parametrize("asynchronous", [False, True])


@BOTH
def test_in_the_queue(engine: MakeEngine, core_facts: CoreFacts, *, asynchronous: bool) -> None:
    """A request that no step ever included has its whole prompt unscheduled."""
    one = engine(asynchronous=asynchronous)
    one.add("a", 8)
    one.abort("a")
    one.run()
    facts = core_facts()
    facts.check()
    finished = facts.finished["a"]
    assert (finished.outcome, finished.finish_reason) == ("cancelled", "abort")
    assert finished.scheduled_ns is None
    assert finished.unscheduled_tokens == 8
    assert facts.steps == []


@BOTH
def test_in_the_first_step(
    engine: MakeEngine, core_facts: CoreFacts, *, asynchronous: bool
) -> None:
    """A prompt wholly in flight was scheduled: nothing is unscheduled, nothing past it lost."""
    one = engine(asynchronous=asynchronous)
    one.add("a", 8)
    one.schedule()
    one.abort("a")
    one.result()
    facts = core_facts()
    facts.check()
    finished = facts.finished["a"]
    assert (finished.unscheduled_tokens, finished.discarded_tokens) == (0, 0)
    assert (finished.output_tokens, finished.first_token_ns) == (0, None)
    assert [member.emitted for member in facts.of("a")] == [0]


@BOTH
@pytest.mark.parametrize("result_first", [False, True])
def test_between_chunks(
    engine: MakeEngine, core_facts: CoreFacts, *, asynchronous: bool, result_first: bool
) -> None:
    """The chunks of a prompt that were not scheduled yet are unscheduled."""
    one = engine(asynchronous=asynchronous, batched_tokens=16)
    one.add("a", 40)
    one.step()
    one.schedule()
    if result_first:
        one.result()
    one.abort("a")
    while one.flying:
        one.result()
    facts = core_facts()
    facts.check()
    assert facts.scheduled("a") == 32
    assert facts.finished["a"].unscheduled_tokens == 8
    assert facts.finished["a"].discarded_tokens == 0


def test_in_decode_with_no_step_in_flight(engine: MakeEngine, core_facts: CoreFacts) -> None:
    """Nothing was computed for nothing."""
    one = engine()
    one.add("a", 8)
    one.step()
    one.step()
    one.abort("a")
    facts = core_facts()
    facts.check()
    assert facts.finished["a"].output_tokens == 2
    assert facts.finished["a"].discarded_tokens == 0


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_in_decode_before_the_result(depth: int, engine: MakeEngine, core_facts: CoreFacts) -> None:
    """Each step in flight had one token of the request; all are discarded."""
    one = engine(asynchronous=depth > 1)
    one.add("a", 8, max_tokens=20)
    one.add("b", 8, max_tokens=20)
    one.step()
    for _ in range(depth):
        one.schedule()
    one.abort("a")
    for _ in range(depth):
        one.result()
    facts = core_facts()
    facts.check_account("a")
    facts.check_stamps("a")
    finished = facts.finished["a"]
    assert (finished.outcome, finished.output_tokens) == ("cancelled", 1)
    assert finished.discarded_tokens == depth
    assert [member.emitted for member in facts.of("a")] == [1] + [0] * depth
    assert [member.emitted for member in facts.of("b")] == [1] * (depth + 1)


def test_the_prompt_and_the_first_token_in_flight(
    engine: MakeEngine, core_facts: CoreFacts
) -> None:
    """Of two steps in flight the prompt's counts as prompt, the token's as discarded."""
    one = engine(asynchronous=True)
    one.add("a", 8)
    one.schedule()
    one.schedule()
    one.abort("a")
    one.result()
    one.result()
    facts = core_facts()
    facts.check()
    assert facts.finished["a"].discarded_tokens == 1
    assert facts.finished["a"].unscheduled_tokens == 0


def test_with_drafts_in_flight(engine: MakeEngine, core_facts: CoreFacts) -> None:
    """Drafts of a step that came to nothing are neither accepted nor rejected, but discarded."""
    one = engine(drafts=3)
    one.add("a", 8)
    one.step()
    one.schedule()
    one.abort("a")
    one.result(accept=3)
    facts = core_facts()
    facts.check()
    finished = facts.finished["a"]
    assert (finished.rejected_tokens, finished.discarded_tokens) == (0, 4)
    last = facts.of("a")[-1]
    assert (last.tokens, last.drafts, last.emitted, last.accepted) == (4, 3, 0, 0)


def test_while_preempted(engine: MakeEngine, core_facts: CoreFacts) -> None:
    """A request that waits to be resumed ends with all of its prompt scheduled once."""
    one = engine(blocks=8)
    one.add("a", 8, max_tokens=15)
    last = one.add("b", 8, max_tokens=15)
    while not last.num_preemptions:
        one.step()
    one.abort("b")
    one.run()
    facts = core_facts()
    facts.check()
    finished = facts.finished["b"]
    assert (finished.preemptions, finished.recomputed_tokens) == (1, 0)
    assert finished.unscheduled_tokens == 0


def test_an_error_of_the_engine(engine: MakeEngine, core_facts: CoreFacts) -> None:
    """A request that vLLM ends as an error is failed, with the steps in flight discarded."""
    one = engine()
    one.add("a", 8)
    one.step()
    one.schedule()
    one.scheduler.finish_requests("a", RequestStatus.FINISHED_ERROR)
    one.result()
    facts = core_facts()
    facts.check()
    finished = facts.finished["a"]
    assert (finished.outcome, finished.finish_reason) == ("failed", "error")
    assert finished.error_type is not None
    assert finished.discarded_tokens == 1


def test_refused_at_shutdown(engine: MakeEngine, core_facts: CoreFacts) -> None:
    """An engine core that shuts down lets nobody into the queue: an end with nothing scheduled."""
    one = engine()
    one.core.shutdown_state = EngineShutdownState.REQUESTED
    one.add("a", 8)
    assert "a" not in one.scheduler.requests
    facts = core_facts()
    facts.check()
    finished = facts.finished["a"]
    assert (finished.outcome, finished.finish_reason) == ("cancelled", "abort")
    assert (finished.queued_ns, finished.unscheduled_tokens) == (None, 8)


@pytest.mark.skipif(
    not hasattr(EngineCoreProc, "_reject_add_while_paused"), reason="new in vLLM 0.33"
)
def test_refused_while_paused(engine: MakeEngine, core_facts: CoreFacts) -> None:
    """A paused engine core fails what comes in, and takes the next one in when it goes on."""
    one = engine()
    one.core.reject_new_requests = True
    one.add("a", 8)
    one.core.reject_new_requests = False
    one.add("b", 8, max_tokens=2)
    one.run()
    facts = core_facts()
    facts.check()
    finished = facts.finished["a"]
    assert (finished.outcome, finished.finish_reason) == ("failed", "error")
    assert finished.error_type is not None
    assert facts.finished["b"].outcome == "finished"


def test_twice(engine: MakeEngine, core_facts: CoreFacts) -> None:
    """An abort comes to vLLM by two queues; the request ends once."""
    one = engine()
    one.add("a", 8)
    one.step()
    one.abort("a")
    one.abort("a", "unknown")
    core_facts().check()
