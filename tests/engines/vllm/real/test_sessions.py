"""Sessions of streamed input, and requests that the engine core will not have."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from vllm.engine.protocol import StreamingInput
from vllm.outputs import RequestOutput
from vllm.sampling_params import RequestOutputKind, SamplingParams
from vllm.v1.engine import EngineCoreOutput, EngineCoreOutputs, FinishReason

from otel_llm.facts.request import RequestDelivered
from tests.engines.vllm.real.api import Servers, call, prompt
from tests.engines.vllm.real.config import Shape
from tests.engines.vllm.real.drive import Engine
from tests.engines.vllm.real.journals import read

pytestmark = pytest.mark.vllm
HEADERS = {"traceparent": "00-" + "1" * 32 + "-" + "2" * 16 + "-01"}
Delivered = Callable[[], dict[str, RequestDelivered]]


@pytest.fixture
def delivered(hooks: Path) -> Delivered:
    """What the API server handed on, by request id."""

    def look() -> dict[str, RequestDelivered]:
        (facts,) = read(hooks, "frontend")
        return facts.delivered

    return look


async def turns(one: Servers, count: int) -> None:
    """Let the engine and the API server work for a while."""
    for _ in range(count):
        one.turn()
        for _ in range(5):
            await asyncio.sleep(0)


async def talk(one: Servers, pieces: "asyncio.Queue[list[int] | None]") -> list[RequestOutput]:
    """A session: input comes while answers go out, until a None comes."""

    async def said() -> AsyncIterator[StreamingInput]:
        while (piece := await pieces.get()) is not None:
            yield StreamingInput(prompt(piece))

    params = SamplingParams(max_tokens=2, output_kind=RequestOutputKind.DELTA)
    stream = one.llms[0].generate(said(), params, "rt-1", trace_headers=HEADERS)
    return [output async for output in stream]


async def session(last_word_early: bool) -> list[RequestOutput]:
    """Two pieces of input; the last word comes with the second, or when both are answered."""
    one = Servers(Engine(Shape()))
    pieces: asyncio.Queue[list[int] | None] = asyncio.Queue()
    task = asyncio.ensure_future(talk(one, pieces))
    pieces.put_nowait([5, 6, 7])
    await turns(one, 6)
    pieces.put_nowait([8, 9])
    if last_word_early:
        pieces.put_nowait(None)
    await turns(one, 6)
    assert task.done() is last_word_early
    pieces.put_nowait(None)
    await turns(one, 2)
    outputs = await asyncio.wait_for(task, 30)
    one.close()
    return outputs


@pytest.mark.parametrize(
    ("last_word_early", "reason"), [(False, "stream_finished"), (True, "length")]
)
def test_streamed_input(delivered: Delivered, *, last_word_early: bool, reason: str) -> None:
    """A session is one request: all its input, all its output, one end."""
    outputs = asyncio.run(session(last_word_early))
    tokens = sum(len(part.token_ids) for output in outputs for part in output.outputs)
    (one,) = delivered().values()
    assert (one.outcome, one.finish_reason) == ("finished", reason)
    assert (one.output_tokens, tokens) == (4, 4)
    assert one.prompt_tokens >= 5
    assert one.traceparent == HEADERS["traceparent"]
    assert one.operation == "transcription"
    assert one.first_output_ns is not None
    assert one.arrival_ns < one.first_output_ns < one.finished_ns


def test_a_session_that_is_given_up(delivered: Delivered) -> None:
    """A caller who leaves in the middle of a session cancels it."""

    async def live() -> None:
        one = Servers(Engine(Shape()))
        pieces: asyncio.Queue[list[int] | None] = asyncio.Queue()
        task = asyncio.ensure_future(talk(one, pieces))
        pieces.put_nowait([5, 6, 7])
        await turns(one, 6)
        task.cancel()
        await asyncio.wait([task])
        one.close()

    asyncio.run(live())
    (one,) = delivered().values()
    assert (one.outcome, one.finish_reason, one.output_tokens) == ("cancelled", "abort", 2)


def refusals() -> list[dict[str, Any]]:
    """How this vLLM's engine core refuses a request on arrival."""
    ways: list[dict[str, Any]] = [{}]
    if "error" in EngineCoreOutput.__struct_fields__:
        from vllm.outputs import RequestError

        ways.append({"error": RequestError("paused", "", retryable=True)})
        ways.append({"error": RequestError("validation_error", "")})
    return ways


@pytest.mark.parametrize("way", refusals())
def test_refused_by_the_core(delivered: Delivered, way: dict[str, Any]) -> None:
    """A request that the core refuses fails with the class of what its caller is told."""

    async def live() -> BaseException | None:
        one = Servers(Engine(Shape()))
        task = call(one.llms[0], "cmpl-x-0", [5, 6, 7])
        for _ in range(5):
            await asyncio.sleep(0)
        (request,) = one.clients[0].sent
        output = EngineCoreOutput(request.request_id, [], finish_reason=FinishReason.ERROR, **way)
        one.clients[0].receive(EngineCoreOutputs(outputs=[output]))
        await asyncio.wait([task], timeout=30)
        one.close()
        return task.exception()

    error = asyncio.run(live())
    (one,) = delivered().values()
    assert (one.outcome, one.finish_reason, one.output_tokens) == ("failed", "error", 0)
    assert one.first_output_ns is None
    # Without an error of its own the serving classes raise a `GenerationError` for the reason.
    assert one.error_type == ("GenerationError" if error is None else type(error).__name__)


def test_outputs_in_chunks(delivered: Delivered, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outputs of one step that vLLM handles in several chunks: each request ends once."""
    monkeypatch.setenv("VLLM_V1_OUTPUT_PROC_CHUNK_SIZE", "2")

    async def live() -> None:
        one = Servers(Engine(Shape()))
        calls = [call(one.llms[0], f"cmpl-{n}-0", [5, 6, n], max_tokens=2) for n in range(5)]
        await one.serve(*calls)
        one.close()

    asyncio.run(live())
    found = list(delivered().values())
    assert [one.output_tokens for one in found] == [2] * 5
    assert len({one.finished_ns for one in found}) == 3
