"""The OpenAI-compatible API of the engine."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from collections.abc import Sequence as Seq
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import cast

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from otel_llm.clock import SYSTEM_CLOCK, MonotonicNs
from otel_llm.demo.engine.call import Call
from otel_llm.demo.engine.config import EngineConfig
from otel_llm.demo.engine.core import EngineCore, EngineDeadError
from otel_llm.demo.engine.errors import ApiError, engine_failed, queue_full
from otel_llm.demo.engine.events import EngineEvents
from otel_llm.demo.engine.faults import FailWindow, FaultInjection
from otel_llm.demo.engine.formats import CHAT, COMPLETIONS, Endpoint
from otel_llm.demo.engine.protocol import Params
from otel_llm.demo.engine.reply import CLIENT_CLOSED, Reply
from otel_llm.demo.engine.scheduler import QueueFullError
from otel_llm.demo.engine.sequence import Sequence

MAX_BODY_BYTES = 4 << 20


class Api:
    """The endpoints of one engine.

    Args:
        config: the engine.
        events: observer of what happens.
        on_ready: called once the engine serves.

    Attributes:
        core: the engine's loop.
    """

    def __init__(
        self, config: EngineConfig, events: EngineEvents, on_ready: Callable[[], None]
    ) -> None:
        self._config = config
        self._events = events
        self._on_ready = on_ready
        self._created = int(time.time())
        self.core = EngineCore(config, events)

    @asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        """Run the core for as long as the application runs."""
        self.core.start(asyncio.get_running_loop().call_soon_threadsafe)
        self._on_ready()
        yield
        await asyncio.to_thread(self.core.stop)
        self._events.close()

    async def generate(self, request: Request, endpoint: Endpoint) -> Response:
        """Answer a call of either endpoint."""
        arrival_ns = SYSTEM_CLOCK.monotonic_ns()
        params = endpoint.parse(await _body(request), self._config)
        call = _call(endpoint, params, request, arrival_ns)
        try:
            self.core.submit(call)
        except QueueFullError:
            raise queue_full() from None
        except EngineDeadError as error:
            raise engine_failed(str(error)) from None
        return await Reply(self.core, self._events, endpoint, call, params).send(request)

    async def models(self, _: Request) -> Response:
        """List the one model."""
        model = {
            "id": self._config.model_name,
            "object": "model",
            "created": self._created,
            "owned_by": "otel-llm",
            "max_model_len": self._config.scheduler.max_model_len,
        }
        return JSONResponse({"object": "list", "data": [model]})

    async def health(self, _: Request) -> Response:
        """200 while the engine lives, 503 once it has failed."""
        return Response(status_code=200 if self.core.failure is None else 503)


def create_app(
    config: EngineConfig,
    events: EngineEvents | None = None,
    fail_windows: Seq[FailWindow] = (),
    on_ready: Callable[[], None] = lambda: None,
) -> Starlette:
    """The application of one engine; its core runs while the application does."""
    api = Api(config, events or EngineEvents(), on_ready)
    return Starlette(
        routes=[
            Route("/v1/completions", _endpoint(api, COMPLETIONS), methods=["POST"]),
            Route("/v1/chat/completions", _endpoint(api, CHAT), methods=["POST"]),
            Route("/v1/models", api.models),
            Route("/health", api.health),
        ],
        middleware=[Middleware(FaultInjection, windows=fail_windows)] if fail_windows else [],
        exception_handlers={ApiError: _error_response, ClientDisconnect: _nobody_to_answer},
        lifespan=api.lifespan,
    )


def _endpoint(api: Api, endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
    async def handle(request: Request) -> Response:
        return await api.generate(request, endpoint)

    return handle


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY_BYTES:
            message = f"The body is longer than {MAX_BODY_BYTES} bytes."
            raise ApiError(413, message)
    return bytes(body)


def _call(endpoint: Endpoint, params: Params, request: Request, arrival_ns: MonotonicNs) -> Call:
    call_id = f"{endpoint.id_prefix}-{uuid.uuid4().hex}"
    sequences: list[Sequence] = []
    for prompt in params.prompts:
        for _ in range(params.n):
            index, seed = len(sequences), params.sampling.seed
            # A seed makes a call repeatable; its samples still have to differ.
            sampling = replace(params.sampling, seed=None if seed is None else seed + index)
            sequences.append(Sequence(f"{call_id}-{index}", list(prompt), sampling))
    return Call(call_id, endpoint.operation, params.model, arrival_ns, request.headers, sequences)


async def _error_response(_: Request, error: Exception) -> Response:
    return cast("ApiError", error).response()


async def _nobody_to_answer(_: Request, __: Exception) -> Response:
    return Response(status_code=CLIENT_CLOSED)
