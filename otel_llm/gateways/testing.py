"""For tests of instrumented gateways: a fake journal, and a real server. Users may use them too."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.types import ASGIApp

from otel_llm.facts.gateway import Attempt, GatewayCall, GatewayCallStarted
from otel_llm.sockets import listen


class FactList:
    """Keeps facts in order, in place of a journal.

    Attributes:
        facts: all facts.
        swallowed: how many errors were kept from the gateway.
        closed: whether it was closed.
    """

    def __init__(self) -> None:
        self.facts: list[GatewayCallStarted | GatewayCall | Attempt] = []
        self.swallowed = 0
        self.closed = False

    def write(self, record: GatewayCallStarted | GatewayCall | Attempt) -> None:
        """Keep one fact."""
        self.facts.append(record)

    def count_swallowed(self) -> None:
        """Count one error."""
        self.swallowed += 1

    def close(self) -> None:
        """Note that it was closed."""
        self.closed = True

    @property
    def started(self) -> list[GatewayCallStarted]:
        """Calls that began."""
        return [fact for fact in self.facts if isinstance(fact, GatewayCallStarted)]

    @property
    def calls(self) -> list[GatewayCall]:
        """Calls that ended."""
        return [fact for fact in self.facts if isinstance(fact, GatewayCall)]

    @property
    def attempts(self) -> list[Attempt]:
        """Attempts that ended."""
        return [fact for fact in self.facts if isinstance(fact, Attempt)]


@asynccontextmanager
async def serving(app: ASGIApp) -> AsyncIterator[str]:
    """Serve an application by uvicorn on a free loopback port, in this event loop.

    Yields its base URL. Calls still open at the end get a second before they are cancelled.
    """
    import uvicorn

    listener = listen("127.0.0.1", 0)
    port = listener.getsockname()[1]
    server = uvicorn.Server(
        uvicorn.Config(app, log_config=None, proxy_headers=False, timeout_graceful_shutdown=1)
    )
    # Signals stay with whoever runs the loop.
    running = asyncio.create_task(server._serve(sockets=[listener]))  # noqa: SLF001
    try:
        while not server.started:
            await asyncio.sleep(0.005)
            if running.done():
                running.result()
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await running
        listener.close()
