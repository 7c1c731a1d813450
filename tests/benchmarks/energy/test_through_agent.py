"""The agent in the pipeline's place."""

from collections.abc import Iterator

import numpy as np
import pytest

from benchmarks.energy import pipeline, prove, serve
from benchmarks.energy.gpu import Law
from benchmarks.energy.serve import Arrival, Run
from benchmarks.energy.through_agent import ThroughAgent
from otel_llm.energy.shape import DevicePeak, device_peak


@pytest.fixture(scope="module")
def run() -> Run:
    """Some seconds of a few requests."""
    arrivals = [Arrival(1 + index / 4, 200 + 40 * index, 60 + 10 * index) for index in range(12)]
    return serve.serve(arrivals, Law())


@pytest.fixture(scope="module")
def peak() -> DevicePeak:
    """By data sheet."""
    found = device_peak("H100")
    assert found is not None
    return found


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThroughAgent]:
    """Agents that write into one store."""
    made = ThroughAgent(tmp_path_factory.mktemp("store"))
    yield made
    made.close()


def test_the_agent_says_what_the_functions_say(
    agent: ThroughAgent, run: Run, peak: DevicePeak
) -> None:
    """Its ledger closes, and each request's joules are the pipeline's, to a few percent.

    Windows of the two begin at other moments, and the agent may open and close with one more.
    """
    readings = serve.counter(run, 5)
    ours = agent.answer(run, readings, "work", peak)
    theirs = pipeline.answer(run, readings, "work", peak)
    assert prove.residual(ours) == 0
    told = {one.request: 0 for one in theirs.amounts}
    for one in ours.amounts:
        told[one.request] += one.prefill_mj + one.decode_mj
    wanted = {one.request: one.prefill_mj + one.decode_mj for one in theirs.amounts}
    errors = [abs(told[number] / wanted[number] - 1) for number in wanted]
    assert float(np.median(errors)) < 0.05
    assert {row.sharing for row in ours.ledger if row.attributed_mj} == {"work"}


def test_by_tokens_too(agent: ThroughAgent, run: Run, peak: DevicePeak) -> None:
    """The setting is the model that is judged."""
    ours = agent.answer(run, serve.counter(run, 5), "tokens", peak)
    assert {one.sharing for one in ours.amounts} == {"tokens"}
    assert prove.residual(ours) == 0
