"""The stack's HTTP servers: uvicorn on a socket of ours, with a bound on its connections."""

import asyncio
import resource
import socket
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

GRACE_S = 5
"""At a stop requests in progress get this long."""

HEAD_S = 10.0
"""A connection on which no request is answered may stay silent this long, give or take as much."""

_FILES = 65_536
_MOST_CONNECTIONS = 4096
_BACKLOG = 128
"""asyncio accepts so many at once before any of them can be closed."""


def raise_file_limit() -> None:
    """Let this process open as many files as it may, within reason."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(hard, _FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def most_connections() -> int:
    """Connections of one door: a quarter of the files, so three doors leave one to the store."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return (
        _MOST_CONNECTIONS if soft == resource.RLIM_INFINITY else min(soft // 4, _MOST_CONNECTIONS)
    )


class Server(uvicorn.Server):
    """A uvicorn server on a socket that is already bound, and without signal handlers.

    Args:
        app: what it serves.
        listener: listens already.

    Attributes:
        listener: as given.
        ready: set once requests are answered.
        url: its address.
    """

    def __init__(self, app: ASGIApp, listener: socket.socket) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=_Connection,
                backlog=_BACKLOG,
                log_level="warning",
                access_log=False,
                lifespan="off",
                server_header=False,
                timeout_graceful_shutdown=GRACE_S,
            )
        )
        self.listener = listener
        self.ready = asyncio.Event()
        self.url = url_of(*listener.getsockname()[:2])

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until `should_exit`."""
        await self._serve(sockets or [self.listener])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer."""
        await super().startup(sockets)
        self.ready.set()


class _Connection(H11Protocol):
    """A connection that is closed when no request comes on it, or its place is needed."""

    _timer: asyncio.TimerHandle
    _since: float

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._since = self.loop.time()
        self._timer = self.loop.call_later(HEAD_S, self._look, None)
        if len(self.connections) > most_connections():
            min(self._silent(), key=lambda each: each._since, default=self)._abort()  # noqa: SLF001

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        super().connection_lost(exc)

    def _waits(self) -> bool:
        """Whether no request is being answered. Its head, or the next one's, may be on its way."""
        return bool(getattr(self.cycle, "response_complete", True))  # None before the first

    def _look(self, seen: object) -> None:
        """Close if nothing has happened since the last look."""
        if self._waits() and self.cycle is seen:
            self.transport.close()
        else:
            self._timer = self.loop.call_later(HEAD_S, self._look, self.cycle)

    def _silent(self) -> "Iterator[_Connection]":
        """The other connections that wait for a request."""
        for each in self.connections:
            if isinstance(each, _Connection) and each is not self and each._waits():  # noqa: SLF001
                yield each

    def _abort(self) -> None:
        # Here, too: `connection_lost` is called later, and more may come before.
        self.connections.discard(self)
        self.transport.abort()


def url_of(host: str, port: int) -> str:
    """The URL of a server."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
