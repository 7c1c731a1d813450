"""Calls through vLLM's own `AsyncLLM`: both halves of each request, and how they agree."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import pytest_asyncio
from vllm.entrypoints.generate.beam_search.online import BeamSearchOnlineMixin
from vllm.pooling_params import PoolingParams
from vllm.sampling_params import BeamSearchParams, RequestOutputKind
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.engine.exceptions import EngineDeadError

from otel_llm.facts.request import RequestArrived, RequestDelivered, RequestFinished
from tests.engines.vllm.real.api import Servers, call, prompt
from tests.engines.vllm.real.conftest import MakeEngine
from tests.engines.vllm.real.journals import Facts, read

pytestmark = pytest.mark.vllm

HEADERS = {
    "traceparent": "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01",
    "tracestate": "otelllm=acme.gold.1",
}
MakeServers = Callable[..., Servers]


class Halves(NamedTuple):
    """A request as the engine core and the API server saw it."""

    arrived: RequestArrived
    finished: RequestFinished | None
    delivered: RequestDelivered


class Both(NamedTuple):
    """The journals of the engine core and of the API servers."""

    core: Facts
    frontend: Facts

    def of(self, external_id: str) -> list[Halves]:
        """A call's requests, in order of their sample."""
        ids = [one for one in self.frontend.delivered if external_id in one]
        halves = [
            Halves(
                self.core.arrived[one], self.core.finished.get(one), self.frontend.delivered[one]
            )
            for one in ids
        ]
        return sorted(halves, key=lambda one: one.delivered.sample_index)

    def check(self) -> None:
        """Each request has both halves, and they tell of the same one."""
        self.core.check()
        assert set(self.frontend.delivered) == set(self.core.arrived)
        for name, delivered in self.frontend.delivered.items():
            arrived, finished = self.core.arrived[name], self.core.finished[name]
            assert arrived.frontend == self.frontend.producer.instance_id
            for field in (
                "api_request_id", "operation", "model", "prompt_tokens", "max_tokens",
                "sample_index", "sample_count", "traceparent", "tracestate", "lora",
            ):  # fmt: skip
                assert getattr(arrived, field) == getattr(delivered, field), f"{name}: {field}"
            assert finished.queued_ns is not None
            assert delivered.arrival_ns <= finished.queued_ns
            if delivered.outcome != "cancelled":  # else it may have gone before its output came
                assert delivered.first_output_ns is not None
            if delivered.first_output_ns is not None:
                assert finished.first_token_ns is not None
                assert finished.first_token_ns <= delivered.first_output_ns
                assert delivered.first_output_ns <= delivered.finished_ns


@pytest_asyncio.fixture
async def servers(engine: MakeEngine) -> AsyncIterator[MakeServers]:
    """Makes API servers of an engine of a shape."""
    made: list[Servers] = []

    def make(count: int = 1, depth: int = 1, **shape: object) -> Servers:
        made.append(Servers(engine(**shape), count, depth))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def both(hooks: Path) -> Callable[[], Both]:
    """Reads both journals."""

    def look() -> Both:
        (core,), (frontend,) = read(hooks, "engine"), read(hooks, "frontend")
        return Both(core, frontend)

    return look


ReadBoth = Callable[[], Both]


@pytest.mark.parametrize("depth", [1, 2])
async def test_a_call(depth: int, servers: MakeServers, both: ReadBoth) -> None:
    """The caller's trace context comes through though vLLM drops it, and so does its identity."""
    one = servers(depth=depth, asynchronous=depth > 1)
    asked = call(one.llms[0], "cmpl-x-0", [5, 6, 7, 8], HEADERS, max_tokens=5)
    await one.serve(asked)
    facts = both()
    facts.check()
    ((arrived, finished, delivered),) = facts.of("cmpl-x-0")
    assert (arrived.traceparent, arrived.tracestate) == tuple(HEADERS.values())
    assert (arrived.api_request_id, arrived.operation) == ("cmpl-x", "text_completion")
    assert (delivered.outcome, delivered.finish_reason) == ("finished", "length")
    assert finished is not None
    assert finished.output_tokens == delivered.output_tokens == 5
    assert finished.last_token_ns is not None
    assert finished.last_token_ns <= delivered.finished_ns
    assert len([token for output in asked.result() for token in output.outputs[0].token_ids]) == 5


@pytest.mark.parametrize("tracing", [False, True])
async def test_what_vllm_sends_back(
    servers: MakeServers, monkeypatch: pytest.MonkeyPatch, *, tracing: bool
) -> None:
    """Without vLLM's own tracing no headers come back with each token; with it, the caller's do."""
    one = servers()
    if tracing:
        config = one.engine.core.vllm_config.observability_config
        monkeypatch.setattr(config, "otlp_traces_endpoint", "http://127.0.0.1:1")
    seen = []
    receive = one.clients[0].receive
    monkeypatch.setattr(
        one.clients[0],
        "receive",
        lambda outputs: (seen.extend(outputs.outputs), receive(outputs)),
    )
    await one.serve(call(one.llms[0], "cmpl-x-0", [5, 6, 7, 8], HEADERS, max_tokens=3))
    assert [output.trace_headers for output in seen] == [HEADERS if tracing else None] * 3


async def test_two_samples(servers: MakeServers, both: ReadBoth) -> None:
    """A call with `n=2` is two requests of one call, each with both halves."""
    one = servers()
    await one.serve(call(one.llms[0], "chatcmpl-x", [5, 6, 7, 8], HEADERS, n=2, max_tokens=4))
    facts = both()
    facts.check()
    first, second = facts.of("chatcmpl-x")
    for index, (arrived, _finished, delivered) in enumerate((first, second)):
        assert (arrived.sample_index, arrived.sample_count) == (index, 2)
        assert (arrived.api_request_id, arrived.operation) == ("chatcmpl-x", "chat")
        assert arrived.traceparent == HEADERS["traceparent"]
        assert delivered.output_tokens == 4
    assert first.delivered.request_id != second.delivered.request_id


async def test_one_sample_ends_before_the_other(servers: MakeServers, both: ReadBoth) -> None:
    """Each sample has an end of its own."""
    from tests.engines.vllm.real.drive import STOP

    one = servers()
    asked = call(one.llms[0], "chatcmpl-x", [5, 6, 7, 8], n=2, max_tokens=4)
    await asyncio.sleep(0)
    stopped = {"tokens": {}}
    for _ in range(10):
        stopped["tokens"] = {name: [STOP] for name in one.engine.requests if name.startswith("0_")}
        if stopped["tokens"]:
            break
        await asyncio.sleep(0)
    await one.serve(asked, result=lambda _: stopped)
    facts = both()
    facts.check()
    first, second = facts.of("chatcmpl-x")
    assert (first.delivered.finish_reason, first.delivered.output_tokens) == ("stop", 1)
    assert (second.delivered.finish_reason, second.delivered.output_tokens) == ("length", 4)
    assert first.delivered.finished_ns < second.delivered.finished_ns


class Beams(BeamSearchOnlineMixin):
    """What of a serving class beam search needs."""

    def __init__(self, llm: AsyncLLM) -> None:
        self.renderer = llm.renderer
        self.engine_client = llm


async def test_beams(servers: MakeServers, both: ReadBoth) -> None:
    """Each beam asks anew for each token: requests of one token each, all of one call."""
    one = servers()

    async def search() -> None:
        params = BeamSearchParams(beam_width=2, max_tokens=3)
        beams = Beams(one.llms[0])
        async for _ in beams.beam_search(prompt([5, 6, 7, 8]), "cmpl-x", params, None, HEADERS):
            pass

    await one.serve(asyncio.ensure_future(search()))
    facts = both()
    facts.check()
    halves = facts.of("cmpl-x")
    assert [one.delivered.sample_index for one in halves] == [0, 0, 0, 1, 1]
    for arrived, finished, delivered in halves:
        assert (arrived.api_request_id, arrived.operation) == ("cmpl-x", "text_completion")
        assert (arrived.sample_count, arrived.traceparent) == (2, HEADERS["traceparent"])
        assert finished is not None
        assert finished.output_tokens == delivered.output_tokens == 1


async def test_a_stop_string(servers: MakeServers, both: ReadBoth) -> None:
    """The API server ends the request with `stop`, the engine core sees an abort."""
    one = servers(depth=2, asynchronous=True)
    asked = call(one.llms[0], "cmpl-x-0", [5, 6, 7, 8], max_tokens=20, stop=["w50"])
    tokens = iter([40, 41, 50, 42, 43, 44, 45, 46, 47, 48])
    await one.serve(
        asked,
        result=lambda engine: {"tokens": {name: [next(tokens)] for name in engine.requests}},
    )
    facts = both()
    facts.check()
    ((_arrived, finished, delivered),) = facts.of("cmpl-x-0")
    assert (delivered.outcome, delivered.finish_reason) == ("finished", "stop")
    assert delivered.output_tokens == 3
    assert finished is not None
    assert (finished.outcome, finished.finish_reason) == ("cancelled", "abort")
    assert finished.output_tokens >= 3
    assert asked.result()[-1].outputs[0].finish_reason == "stop"


async def test_the_client_goes_away(servers: MakeServers, both: ReadBoth) -> None:
    """A call that its caller gives up is cancelled in both halves."""
    one = servers(depth=2, asynchronous=True)
    asked = call(one.llms[0], "cmpl-x-0", [5, 6, 7, 8], max_tokens=100)
    stays = call(one.llms[0], "cmpl-y-0", [5, 6, 7, 9], max_tokens=10)
    for _ in range(5):
        await asyncio.sleep(0)
        one.turn()
    asked.cancel()
    await one.serve(asked, stays)
    facts = both()
    facts.check()
    ((_arrived, finished, delivered),) = facts.of("cmpl-x-0")
    assert (delivered.outcome, delivered.finish_reason) == ("cancelled", "abort")
    assert finished is not None
    assert (finished.outcome, finished.discarded_tokens) == ("cancelled", 1)
    assert facts.of("cmpl-y-0")[0].delivered.outcome == "finished"


async def test_the_client_of_two_samples_goes_away(servers: MakeServers, both: ReadBoth) -> None:
    """All samples of a call end with it."""
    one = servers()
    asked = call(one.llms[0], "chatcmpl-x", [5, 6, 7, 8], n=2, max_tokens=100)
    for _ in range(5):
        await asyncio.sleep(0)
        one.turn()
    asked.cancel()
    await one.serve(asked)
    facts = both()
    facts.check()
    assert [halves.delivered.outcome for halves in facts.of("chatcmpl-x")] == ["cancelled"] * 2


async def test_the_client_goes_before_the_first_output(
    servers: MakeServers, both: ReadBoth
) -> None:
    """A call that is given up in the queue has neither a first token nor a first output."""
    one = servers()
    asked = call(one.llms[0], "cmpl-x-0", [5, 6, 7, 8])
    for _ in range(5):
        await asyncio.sleep(0)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    await one.serve()
    facts = both()
    facts.check()
    ((_arrived, finished, delivered),) = facts.of("cmpl-x-0")
    assert delivered.first_output_ns is None
    assert finished is not None
    assert finished.unscheduled_tokens == 4


async def test_the_engine_dies(servers: MakeServers, both: ReadBoth) -> None:
    """Calls fail with what their callers get; the core's half stays open."""
    one = servers(depth=2, asynchronous=True)
    asked = call(one.llms[0], "cmpl-x-0", [5, 6, 7, 8], max_tokens=100)
    for _ in range(5):
        await asyncio.sleep(0)
        one.turn()
    one.clients[0].die()
    with pytest.raises(EngineDeadError):
        await asked
    facts = both()
    ((_arrived, finished, delivered),) = facts.of("cmpl-x-0")
    assert (delivered.outcome, delivered.error_type) == ("failed", "EngineDeadError")
    assert finished is None
    assert facts.core.steps[-1].done is None


async def test_an_answer_in_one_piece(servers: MakeServers, both: ReadBoth) -> None:
    """Where the caller waits for the whole answer, the first output is handled all the same."""
    one = servers()
    await one.serve(
        call(
            one.llms[0], "cmpl-x-0", [5, 6, 7, 8], max_tokens=4,
            output_kind=RequestOutputKind.FINAL_ONLY,
        )
    )  # fmt: skip
    facts = both()
    facts.check()
    ((_arrived, finished, delivered),) = facts.of("cmpl-x-0")
    assert delivered.output_tokens == 4
    assert delivered.first_output_ns is not None
    assert finished is not None
    assert finished.last_token_ns is not None
    assert delivered.first_output_ns < finished.last_token_ns


async def test_without_statistics(servers: MakeServers, both: ReadBoth) -> None:
    """`--disable-log-stats` takes nothing from the facts: ends, aborts, stop strings."""
    one = servers(log_stats=False)
    whole = call(one.llms[0], "cmpl-x-0", [5, 6, 7, 8], max_tokens=4)
    gone = call(one.llms[0], "cmpl-y-0", [5, 6, 7, 9], max_tokens=100)
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_soon(gone.cancel)
    await one.serve(whole, gone)
    facts = both()
    facts.check()
    assert facts.of("cmpl-x-0")[0].delivered.outcome == "finished"
    assert facts.of("cmpl-y-0")[0].delivered.outcome == "cancelled"


async def test_two_api_servers(servers: MakeServers, both: ReadBoth) -> None:
    """Two servers of one engine may use the same id; each has its own requests."""
    one = servers(count=2)
    calls = [
        call(llm, "cmpl-x-0", [5, 6, 7, 8], max_tokens=3 + index)
        for index, llm in enumerate(one.llms)
    ]
    await one.serve(*calls)
    facts = both()
    facts.check()
    halves = facts.of("cmpl-x-0")
    assert sorted(one.delivered.output_tokens for one in halves) == [3, 4]
    assert {member for step in facts.core.steps for member in step.members} == {
        one.arrived.request_id for one in halves
    }


async def test_a_lora_less_priority_call(servers: MakeServers, both: ReadBoth) -> None:
    """What the caller does not ask for is empty."""
    one = servers()
    await one.serve(call(one.llms[0], "anything", [5, 6, 7, 8], max_tokens=2))
    ((arrived, _finished, _delivered),) = both().of("anything")
    assert (arrived.lora, arrived.traceparent, arrived.tracestate) == ("", None, None)
    assert (arrived.api_request_id, arrived.operation) == ("anything", "text_completion")


@pytest.mark.filterwarnings("ignore:The given buffer is not writable")  # vLLM's decoder
async def test_an_embedding(servers: MakeServers, both: ReadBoth) -> None:
    """A pooling request has an operation of its own and no tokens."""
    one = servers(pooling=True)

    async def embed() -> None:
        params = PoolingParams(task="embed")
        async for _ in one.llms[0].encode(prompt([5, 6, 7]), params, "embd-x-0", None, HEADERS):
            pass

    await one.serve(asyncio.ensure_future(embed()))
    facts = both()
    facts.core.check()
    ((arrived, finished, delivered),) = facts.of("embd-x-0")
    assert (arrived.operation, arrived.api_request_id) == ("embeddings", "embd-x")
    assert (delivered.outcome, delivered.output_tokens) == ("finished", 0)
    assert delivered.first_output_ns is not None
    assert arrived.traceparent == delivered.traceparent == HEADERS["traceparent"]
    assert finished is not None
