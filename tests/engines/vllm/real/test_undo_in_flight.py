"""Hooks taken out, and put in, while vLLM is at work."""

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from vllm.v1.request import RequestStatus

from otel_llm.engines.vllm.instrument import instrument, uninstrument
from otel_llm.facts.request import RequestArrived, RequestDelivered
from tests.engines.vllm.real.api import Servers, call
from tests.engines.vllm.real.config import Shape
from tests.engines.vllm.real.drive import Engine
from tests.engines.vllm.real.journals import read

pytestmark = pytest.mark.vllm


@pytest.fixture(autouse=True)
def _out_in_the_end(journal_dir: Path) -> Iterator[Path]:
    yield journal_dir
    uninstrument()


def _busy(**shape: object) -> Engine:
    """An engine with a request that decodes, one that prefills, and two steps in flight."""
    engine = Engine(Shape(asynchronous=True, batched_tokens=16, **shape))  # type: ignore[arg-type]
    engine.add("a", 8, max_tokens=6)
    engine.step()
    engine.add("b", 40, max_tokens=3)
    engine.schedule()
    engine.schedule()
    return engine


def _all_finished(engine: Engine) -> bool:
    return {one.status for one in engine.requests.values()} == {
        RequestStatus.FINISHED_LENGTH_CAPPED
    }


@pytest.mark.parametrize("drafts", [0, 3])
def test_out_with_steps_in_flight(drafts: int, journal_dir: Path) -> None:
    """The scheduler goes on as if nothing had been there, and nothing more is written."""
    instrument()
    engine = _busy(drafts=drafts)
    uninstrument()
    written = read(journal_dir, "engine")[0].steps
    assert [step.done is None for step in written] == [False, True, True]
    assert "otel_llm_core" not in vars(engine.scheduler)
    engine.run(depth=2)
    assert _all_finished(engine)
    assert read(journal_dir, "engine")[0].steps == written


def test_in_again_with_steps_in_flight(journal_dir: Path) -> None:
    """What a scheduler took in before is followed no longer; the next one is, once."""
    instrument()
    engine = _busy()
    uninstrument()
    instrument()
    engine.run(depth=2)
    assert _all_finished(engine)
    following = Engine(Shape())
    following.add("c", 8, max_tokens=2)
    following.run()
    journals = read(journal_dir, "engine")
    whole = [facts for facts in journals if facts.finished]
    assert len(journals) == 2
    assert [list(facts.finished) for facts in whole] == [["c"]]
    whole[0].check()


def test_in_while_a_scheduler_is_at_work(journal_dir: Path) -> None:
    """What a scheduler takes in before it is empty has no facts, if the hooks came later."""
    engine = _busy()
    instrument()
    engine.add("c", 8, max_tokens=2)
    engine.run(depth=2)
    assert _all_finished(engine)
    assert read(journal_dir, "engine") == []


async def test_out_with_calls_being_served(journal_dir: Path) -> None:
    """The API server goes on, too: its callers get all their tokens."""
    instrument()
    servers = Servers(Engine(Shape(asynchronous=True)), depth=2)
    asked = call(servers.llms[0], "cmpl-x-0", [5, 6, 7, 8], max_tokens=9)
    for _ in range(5):
        await asyncio.sleep(0)
        servers.turn()
    uninstrument()
    state = next(iter(servers.llms[0].output_processor.request_states.values()))
    assert "make_request_output" not in vars(state)
    await servers.serve(asked)
    servers.close()
    assert sum(len(output.outputs[0].token_ids) for output in asked.result()) == 9
    (frontend,) = read(journal_dir, "frontend")
    assert frontend.delivered == {}


@pytest.mark.parametrize("busy", [False, True])
async def test_in_again_with_a_live_engine(journal_dir: Path, busy: bool) -> None:
    """The next request that finds it empty has both halves; one before it has neither."""
    instrument()
    servers = Servers(Engine(Shape(asynchronous=True)), depth=2)
    (llm,) = servers.llms
    await servers.serve(call(llm, "cmpl-x-0", [5, 6, 7, 8], max_tokens=4))
    uninstrument()
    early = [call(llm, "cmpl-early-0", [5, 6, 7], max_tokens=9)] if busy else []
    for _ in range(5):
        await asyncio.sleep(0)
        servers.turn()
    instrument()
    if busy:
        early.append(call(llm, "cmpl-busy-0", [5, 6, 9], max_tokens=9))
    await servers.serve(*early)
    assert all(one.done() for one in early)
    await servers.serve(call(llm, "cmpl-y-0", [5, 6, 7, 8], max_tokens=4))
    servers.close()
    engine = next(one for one in read(journal_dir, "engine") if _calls(one.arrived) == {"cmpl-y"})
    frontend = next(
        one for one in read(journal_dir, "frontend") if _calls(one.delivered) == {"cmpl-y"}
    )
    assert len(read(journal_dir, "engine")) == len(read(journal_dir, "frontend")) == 2
    assert set(engine.arrived) == set(frontend.delivered)
    (arrived,) = engine.arrived.values()
    assert arrived.frontend == frontend.producer.instance_id
    engine.check()
    assert len(engine.steps) >= 4
    for state in servers.engine.requests.values():
        assert state.trace_headers is None


def test_in_with_steps_of_its_past_in_flight(journal_dir: Path) -> None:
    """A result of before, which carries an earlier step's identity, is no result of this one."""
    instrument()
    engine = Engine(Shape(asynchronous=True))
    engine.add("a", 8, max_tokens=6)
    engine.schedule()
    uninstrument()
    instrument()
    engine.abort("a")
    engine.add("c", 8, max_tokens=2)
    engine.schedule()
    engine.result()
    (during,) = [one for one in read(journal_dir, "engine") if set(one.arrived) == {"c"}]
    assert [step.done for step in during.steps] == [None]
    engine.run(depth=2)
    (late,) = [one for one in read(journal_dir, "engine") if set(one.arrived) == {"c"}]
    late.check()


def _calls(facts: Mapping[str, RequestArrived] | Mapping[str, RequestDelivered]) -> set[str]:
    return {one.api_request_id for one in facts.values()}
