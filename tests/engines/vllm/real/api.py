"""API servers in the test's own process: vLLM's `AsyncLLM` in front of a scripted engine."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from vllm.inputs import TokensPrompt
from vllm.outputs import RequestOutput
from vllm.sampling_params import RequestOutputKind, SamplingParams
from vllm.v1.engine import EngineCoreOutputs, EngineCoreRequest
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.engine.core_client import EngineCoreClient
from vllm.v1.engine.exceptions import EngineDeadError
from vllm.v1.executor import Executor
from vllm.v1.serial_utils import MsgpackDecoder, MsgpackEncoder

from tests.engines.vllm.real.drive import STOP, Engine

Result = Callable[[Engine], dict[str, Any]]
"""Chooses the arguments of `Engine.result`."""


class Client:
    """Stands between an `AsyncLLM` and a scripted engine, as sockets do.

    Args:
        engine: the engine core.
        index: number of the API server.
    """

    def __init__(self, engine: Engine, index: int) -> None:
        self.engine_ranks_managed = [0]
        self.resources = SimpleNamespace(engine_dead=False)
        self.index = index
        self.sent: list[EngineCoreRequest] = []
        self._engine = engine
        self._outputs: asyncio.Queue[EngineCoreOutputs | Exception] = asyncio.Queue()

    async def add_request_async(self, request: EngineCoreRequest) -> None:
        """Send a request to the engine core."""
        request.client_index = self.index
        self.sent.append(request)
        self._engine.add(request)

    async def abort_requests_async(self, request_ids: list[str]) -> None:
        """Send an abort."""
        if request_ids and not self.resources.engine_dead:
            self._engine.abort(*request_ids)

    async def get_supported_tasks_async(self) -> tuple[str, ...]:
        """What the model can do."""
        return ("embed",) if self._engine.shape.pooling else ("generate",)

    async def get_output_async(self) -> EngineCoreOutputs:
        """Wait for outputs, or for the news of the engine's death."""
        outputs = await self._outputs.get()
        if isinstance(outputs, Exception):
            raise outputs
        return outputs

    def receive(self, outputs: EngineCoreOutputs) -> None:
        """The engine core sends outputs, which arrive as their copies."""
        wire = MsgpackEncoder().encode(outputs)
        self._outputs.put_nowait(MsgpackDecoder(EngineCoreOutputs).decode(wire))

    def die(self) -> None:
        """The engine core is gone."""
        self.resources.engine_dead = True
        self._outputs.put_nowait(EngineDeadError())

    def shutdown(self, timeout: float | None = None) -> None:
        """There is nothing to be stopped."""


class Servers:
    """API servers of one engine core, and the loop that runs it. To be made in an event loop.

    Args:
        engine: the engine core.
        count: how many API servers there are.
        depth: most steps in flight.
    """

    def __init__(self, engine: Engine, count: int = 1, depth: int = 1) -> None:
        self.engine = engine
        self.depth = depth
        self.clients = [Client(engine, index) for index in range(count)]
        self.llms = [_async_llm(engine, client) for client in self.clients]

    def close(self) -> None:
        """Stop the servers."""
        for llm in self.llms:
            llm.shutdown()

    def turn(self, **given: Any) -> None:  # noqa: ANN401
        """Schedule as many steps as may be in flight, and bring the oldest one's result in."""
        engine = self.engine
        while len(engine.flying) < self.depth and engine.scheduler.has_requests():
            engine.schedule()
        if engine.flying:
            for index, outputs in engine.result(**given).items():
                self.clients[index].receive(outputs)

    async def serve(self, *calls: "asyncio.Task[Any]", result: Result = lambda _: {}) -> None:
        """Run the engine until the calls have come to an end."""
        for _ in range(2000):
            if all(call.done() for call in calls):
                break
            self.turn(**result(self.engine))
            for _ in range(5):
                await asyncio.sleep(0)
        assert all(call.done() for call in calls), "still at work"
        while self.engine.flying or self.engine.scheduler.has_requests():
            self.turn()
            await asyncio.sleep(0)


def _async_llm(engine: Engine, client: Client) -> AsyncLLM:
    made = EngineCoreClient.make_async_mp_client
    EngineCoreClient.make_async_mp_client = staticmethod(lambda *_, **__: client)  # type: ignore[assignment]
    try:
        return AsyncLLM(
            engine.core.vllm_config, Executor, log_stats=engine.shape.log_stats, log_requests=False
        )
    finally:
        EngineCoreClient.make_async_mp_client = staticmethod(made)  # type: ignore[method-assign]


def prompt(tokens: list[int]) -> TokensPrompt:
    """A prompt as the serving classes hand it on, rendered."""
    return {"type": "token", "prompt_token_ids": tokens}  # type: ignore[typeddict-unknown-key]


def call(
    llm: AsyncLLM,
    request_id: str,
    tokens: list[int],
    headers: dict[str, str] | None = None,
    **given: Any,  # noqa: ANN401
) -> "asyncio.Task[list[RequestOutput]]":
    """Ask for a completion, streamed; the task's result is all that came."""
    params = SamplingParams(
        **({"max_tokens": 8, "output_kind": RequestOutputKind.DELTA} | given), stop_token_ids=[STOP]
    )

    async def consume() -> list[RequestOutput]:
        stream = llm.generate(prompt(tokens), params, request_id, trace_headers=headers)
        return [output async for output in stream]

    return asyncio.ensure_future(consume())
