"""Speculative tokens: proposed, accepted, rejected, and cut off by a stop token."""

from collections.abc import Callable

import pytest

from tests.engines.vllm.real.conftest import MakeEngine
from tests.engines.vllm.real.drive import STOP
from tests.engines.vllm.real.journals import Facts, Member

CoreFacts = Callable[[], Facts]
pytestmark = pytest.mark.vllm
BOTH = pytest.mark.parametrize("asynchronous", [False, True])


def test_drafts_of_a_synchronous_scheduler(engine: MakeEngine, core_facts: CoreFacts) -> None:
    """Of three drafts one is accepted: two tokens come out, two positions are rejected."""
    one = engine(drafts=3)
    one.add("a", 8, max_tokens=20)
    one.step()
    one.step(accept=1)
    one.step(accept=0)
    one.abort("a")
    facts = core_facts()
    facts.check()
    assert facts.of("a") == [
        Member("prefill", 8, 0, emitted=1),
        Member("decode", 4, 8, drafts=3, emitted=2, accepted=1),
        Member("decode", 4, 10, drafts=3, emitted=1, accepted=0),
    ]
    assert facts.finished["a"].rejected_tokens == 5
    assert facts.finished["a"].output_tokens == 4


def test_drafts_of_an_asynchronous_scheduler(engine: MakeEngine, core_facts: CoreFacts) -> None:
    """Placeholders of the step in flight count as context until a result rejects them."""
    one = engine(asynchronous=True, drafts=3)
    one.add("a", 8, max_tokens=30)
    one.schedule()
    one.schedule()
    one.result()
    one.schedule()
    one.result(accept=1)
    one.schedule()
    one.result(accept=3)
    one.abort("a")
    one.result()
    facts = core_facts()
    facts.check()
    assert facts.of("a") == [
        Member("prefill", 8, 0, emitted=1),
        Member("decode", 4, 8, drafts=3, emitted=2, accepted=1),
        Member("decode", 4, 12, drafts=3, emitted=4, accepted=3),
        Member("decode", 4, 14, drafts=3, emitted=0, accepted=0),
    ]
    finished = facts.finished["a"]
    assert (finished.rejected_tokens, finished.discarded_tokens) == (2, 4)


@BOTH
def test_all_accepted(engine: MakeEngine, core_facts: CoreFacts, *, asynchronous: bool) -> None:
    """Nothing is rejected where every draft is accepted."""
    one = engine(asynchronous=asynchronous, drafts=3)
    one.add("a", 8, max_tokens=13)
    one.run(accept=3)
    facts = core_facts()
    facts.check()
    finished = facts.finished["a"]
    assert (finished.output_tokens, finished.rejected_tokens) == (13, 0)
    assert (finished.discarded_tokens, finished.finish_reason) == (0, "length")


@BOTH
def test_all_rejected(engine: MakeEngine, core_facts: CoreFacts, *, asynchronous: bool) -> None:
    """Each step gives one token and rejects all its drafts."""
    one = engine(asynchronous=asynchronous, drafts=2)
    one.add("a", 8, max_tokens=5)
    one.run(accept=0)
    facts = core_facts()
    facts.check()
    assert facts.finished["a"].rejected_tokens == 2 * 4
    assert [member.emitted for member in facts.of("a")] == [1] * 5


@BOTH
def test_a_stop_token_among_accepted_drafts(
    engine: MakeEngine, core_facts: CoreFacts, *, asynchronous: bool
) -> None:
    """Tokens behind a stop token were accepted and are thrown away: discarded, not rejected."""
    one = engine(asynchronous=asynchronous, drafts=3)
    one.add("a", 8, max_tokens=20)
    one.step()
    one.schedule()
    one.result(tokens={"a": [50, STOP, 51]})
    facts = core_facts()
    facts.check()
    assert facts.of("a")[1] == Member("decode", 4, 8, drafts=3, emitted=2, accepted=2)
    finished = facts.finished["a"]
    assert (finished.output_tokens, finished.finish_reason) == (3, "stop")
    assert (finished.rejected_tokens, finished.discarded_tokens) == (1, 1)


def test_a_stop_token_among_drafts_with_a_step_in_flight(
    engine: MakeEngine, core_facts: CoreFacts
) -> None:
    """The cut-off tokens and the whole of the next step are discarded."""
    one = engine(asynchronous=True, drafts=3)
    one.add("a", 8, max_tokens=30)
    one.step()
    one.schedule()
    one.schedule()
    one.result(tokens={"a": [50, STOP, 51, 52]})
    one.result(accept=3)
    facts = core_facts()
    facts.check()
    finished = facts.finished["a"]
    assert (finished.output_tokens, finished.rejected_tokens) == (3, 0)
    assert finished.discarded_tokens == 2 + 4
    assert facts.of("a")[2] == Member("decode", 4, 12, drafts=3, emitted=0, accepted=0)


@BOTH
def test_the_limit_within_accepted_drafts(
    engine: MakeEngine, core_facts: CoreFacts, *, asynchronous: bool
) -> None:
    """Tokens past `max_tokens` are cut off like those behind a stop token."""
    one = engine(asynchronous=asynchronous, drafts=3)
    one.add("a", 8, max_tokens=3)
    one.step()
    one.step(tokens={"a": [50, 51, 52, 53]})
    facts = core_facts()
    facts.check()
    finished = facts.finished["a"]
    assert (finished.output_tokens, finished.finish_reason) == (3, "length")
    assert finished.discarded_tokens == 2


def test_drafts_of_some_members(engine: MakeEngine, core_facts: CoreFacts) -> None:
    """A member without drafts has none in a step in which others have."""
    one = engine(drafts=3)
    one.add("a", 8, max_tokens=20)
    one.add("b", 8, max_tokens=20)
    one.step(propose={"a": 2})
    one.step(accept=2)
    facts = core_facts()
    assert facts.steps[1].members == {
        "a": Member("decode", 3, 8, drafts=2, emitted=3, accepted=2),
        "b": Member("decode", 1, 8, drafts=0, emitted=1, accepted=0),
    }


def test_placeholder_drafts_of_a_new_request(engine: MakeEngine, core_facts: CoreFacts) -> None:
    """One token left of a prompt is padded by vLLM to a decode step's size: drafts as any other."""
    one = engine(drafts=3)
    prompt = list(range(20, 33))
    one.add("a", prompt, max_tokens=20)
    one.step()
    one.add("b", prompt, max_tokens=20)
    one.step(accept={"a": 3, "b": 0})
    one.abort("a", "b")
    facts = core_facts()
    facts.check()
    assert facts.of("b") == [Member("prefill", 4, 12, drafts=3, emitted=1, accepted=0)]
    finished = facts.finished["b"]
    assert (finished.cached_tokens, finished.rejected_tokens) == (12, 3)
    assert finished.output_tokens == 1


def test_a_result_without_the_order_of_the_batch(engine: MakeEngine, core_facts: CoreFacts) -> None:
    """The workers order a result as they like; emitted and accepted are in the batch's order."""
    one = engine(drafts=3, backwards=True)
    one.add("a", 8, max_tokens=20)
    one.add("b", 8, max_tokens=20)
    one.step()
    one.step(accept={"a": 3, "b": 1})
    facts = core_facts()
    assert facts.steps[1].members == {
        "a": Member("decode", 4, 8, drafts=3, emitted=4, accepted=3),
        "b": Member("decode", 4, 8, drafts=3, emitted=2, accepted=1),
    }
