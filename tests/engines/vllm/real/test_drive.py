"""The scripted model runner itself, without hooks: it drives vLLM as a real one does."""

import pytest
from vllm.v1.request import RequestStatus

from tests.engines.vllm.real.config import Shape
from tests.engines.vllm.real.drive import STOP, Engine

pytestmark = pytest.mark.vllm


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("drafts", [0, 3])
def test_a_request_runs_to_its_limit(*, asynchronous: bool, drafts: int) -> None:
    """The real scheduler takes the scripted results and ends the request at its limit."""
    engine = Engine(Shape(asynchronous=asynchronous, drafts=drafts))
    request = engine.add("a", 8, max_tokens=6)
    engine.run(depth=2 if asynchronous else 1, accept=1)
    assert request.status == RequestStatus.FINISHED_LENGTH_CAPPED
    assert len(engine.emitted["a"]) == 6


def test_asynchronous_steps_are_scheduled_before_the_result() -> None:
    """The asynchronous scheduler hands out step N+1 while result N is out."""
    engine = Engine(Shape(asynchronous=True))
    engine.add("a", 8, max_tokens=6)
    assert engine.schedule().num_scheduled_tokens == {"a": 8}
    assert engine.schedule().num_scheduled_tokens == {"a": 1}
    engine.result(tokens={"a": [STOP]})
    assert not engine.scheduler.requests


def test_few_blocks_preempt() -> None:
    """Short of blocks, the real scheduler preempts the request that came last."""
    engine = Engine(Shape(blocks=8))
    first, last = (engine.add(name, 8, max_tokens=15) for name in ("a", "b"))
    engine.run()
    assert (first.num_preemptions, last.num_preemptions) == (0, 1)
