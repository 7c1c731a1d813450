"""Whatever happens, in whatever order: every account holds and every step resolves."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otel_llm.engines.vllm.instrument import instrument, uninstrument
from tests.engines.vllm.real.config import Shape
from tests.engines.vllm.real.drive import STOP, Engine
from tests.engines.vllm.real.journals import Facts, read

pytestmark = pytest.mark.vllm

Draw = Callable[[int, int], int]
"""Draws an integer from a range, both ends included."""


class Chaos:
    """Does anything to an engine that may happen to it.

    Args:
        engine: to be driven.
        depth: most steps in flight.
        draw: decides everything.
    """

    def __init__(self, engine: Engine, depth: int, draw: Draw) -> None:
        self.engine = engine
        self._depth = depth
        self._draw = draw

    def run(self, turns: int) -> None:
        """Act so many times, then let everything come to its end."""
        for _ in range(turns):
            self._act()
        self._draw = lambda low, _high: low
        for _ in range(2000):
            if not (self.engine.flying or self.engine.scheduler.has_requests()):
                return
            self._step()
        message = "it does not come to an end"
        raise AssertionError(message)

    def _act(self) -> None:
        event = self._draw(0, 39)
        if event < 6:
            self._add()
        elif event < 8 and self.engine.scheduler.requests:
            names = sorted(self.engine.scheduler.requests)
            self.engine.abort(names[self._draw(0, len(names) - 1)])
        elif event == 8:
            self.engine.scheduler.reset_prefix_cache(reset_running_requests=True)
        else:
            self._step()

    def _add(self) -> None:
        shared = [20 + token for token in range(self._draw(0, 3) * 4)]
        name = f"r{len(self.engine.requests)}"
        own = [50 + (len(self.engine.requests) + token) % 400 for token in range(self._draw(1, 30))]
        self.engine.add(name, shared + own, max_tokens=self._draw(1, 20), priority=self._draw(0, 2))

    def _step(self) -> None:
        engine = self.engine
        if len(engine.flying) < self._depth and engine.scheduler.has_requests():
            engine.schedule()
            if self._draw(0, 3) > 1:  # more comes before the result
                return
        if not engine.flying:
            return
        flight = engine.flying[0]
        tokens, accept, propose = {}, {}, {}
        for name in sorted(flight.samples):
            accept[name] = self._draw(0, engine.shape.drafts)
            propose[name] = self._draw(0, engine.shape.drafts)
            if self._draw(0, 24) == 1:
                length = 1 + self._draw(0, flight.drafts.get(name, 0))
                tokens[name] = engine.fresh(length)
                tokens[name][self._draw(0, length - 1)] = STOP
        engine.result(tokens=tokens, accept=accept, propose=propose)


def _check(engine: Engine, journal_dir: Path) -> Facts:
    (facts,) = read(journal_dir, "engine")
    facts.check()
    facts.check_steps(engine)
    facts.check_ends(engine)
    _check_nothing_is_left(engine)
    return facts


def _check_nothing_is_left(engine: Engine) -> None:
    """No request and no step stays in memory when all have ended."""
    core = vars(engine.scheduler)["otel_llm_core"]
    members = core._members
    held = (members.accounts, members.unsettled, core._flights, core._ended)
    more = (core._last._earlier, core._arrivals._handles)
    assert [len(one) for one in held + more] == [0] * 6


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("drafts", [0, 3])
@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("second_runner", [False, True])
def test_a_long_run(
    seed: int, drafts: int, depth: int, hooks: Path, *, second_runner: bool
) -> None:
    """Several hundred steps short of blocks, with aborts, stops, drafts and cache resets."""
    engine = Engine(
        Shape(
            asynchronous=depth > 1,
            drafts=drafts,
            blocks=24,
            batched_tokens=24,
            max_seqs=6,
            policy="priority" if seed == 2 else "fcfs",
            second_runner=second_runner,
        )
    )
    source = random.Random(f"{seed} {drafts} {depth} {second_runner}")
    Chaos(engine, depth, source.randint).run(900)
    facts = _check(engine, hooks)
    ends = facts.finished.values()
    assert len(facts.steps) > 300
    assert sum(one.preemptions for one in ends) > 5
    assert sum(one.recomputed_tokens for one in ends) > 50
    assert sum(one.cached_tokens for one in ends) > 20
    assert sum(one.unscheduled_tokens for one in ends) > 0
    assert sum(one.discarded_tokens for one in ends) > 0
    assert (sum(one.rejected_tokens for one in ends) > 50) == (drafts > 0)
    assert {one.outcome for one in ends} == {"finished", "cancelled"}


@pytest.mark.timeout(600)  # a search may shrink what it finds
@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    data=st.data(),
    depth=st.integers(1, 3),
    drafts=st.integers(0, 3),
    blocks=st.integers(18, 40),  # vLLM itself asks for room for the longest request
    batched_tokens=st.integers(8, 40),
    max_model_len=st.sampled_from([50, 68]),
    caching=st.booleans(),
    second_runner=st.booleans(),
    policy=st.sampled_from(["fcfs", "priority"]),
)
def test_any_run(
    data: st.DataObject,
    depth: int,
    *,
    tmp_path_factory: pytest.TempPathFactory,
    **shape: object,
) -> None:
    """The same, in runs that are short enough to be told apart when one fails."""
    journal_dir = tmp_path_factory.mktemp("journals")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_LLM_JOURNAL_DIR", str(journal_dir))
        patch.setenv("OTEL_LLM_JOURNAL_BYTES", str(1 << 20))
        instrument()
        try:
            engine = Engine(Shape(asynchronous=depth > 1, max_seqs=4, **shape))  # type: ignore[arg-type]
            Chaos(engine, depth, lambda low, high: data.draw(st.integers(low, high))).run(40)
            _check(engine, journal_dir)
        finally:
            uninstrument()
