"""The stack's HTTP servers: uvicorn on a socket of ours, with a bound on its connections."""

import asyncio
import resource
import socket
import ssl
from collections.abc import Callable, Iterator

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from otel_llm.collector.acknowledged import taken
from otel_llm.collector.handshakes import Handshakes

GRACE_S = 5
"""At a stop requests in progress get this long."""

GOODBYE_S = 1.0
"""A connection that we close is broken off once its other side takes nothing for so long. Over TLS
both sides say when they close; not all do."""

HEAD_S = 10.0
"""A connection may bring no request, or take nothing of its answer, for this long, give or take as
much."""

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
        context: the server's side of TLS; plain text if None.

    Attributes:
        listener: as given.
        ready: set once requests are answered.
        url: its address.
    """

    def __init__(
        self, app: ASGIApp, listener: socket.socket, context: ssl.SSLContext | None = None
    ) -> None:
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
        self.url = url_of(*listener.getsockname()[:2], secure=context is not None)
        self._context = context
        self._handshakes: Handshakes | None = None

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until `should_exit`."""
        given = [self.listener] if self._context is None else []
        await self._serve(given if sockets is None else sockets)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer."""
        await super().startup(sockets)
        if self._context is not None:
            self.listener.setblocking(False)
            self._handshakes = Handshakes(
                self.listener, self._context, self._connection, HEAD_S, self._room
            )
        self.ready.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more, and wait for the requests in progress."""
        if self._handshakes is not None:
            await self._handshakes.stop()
            self.listener.close()
        await super().shutdown(sockets)

    def _connection(self) -> "_Connection":
        return _Connection(self.config, self.server_state, self.lifespan.state)

    def _room(self) -> int:
        """Handshakes and connections together are bounded as connections alone are."""
        return most_connections() - len(self.server_state.connections)


class _Connection(H11Protocol):
    """A connection that is closed when it brings no request, takes no answer, or must make room.

    Its time counts from its begin, from the last answer after which the other side had taken more,
    or since its writing is paused: then the buffers are full of what the other side does not take.
    """

    _timer: asyncio.TimerHandle
    _since: float
    _acknowledged = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._since = self.loop.time()
        self._look_later(HEAD_S, self._look)
        if len(self.connections) > most_connections():
            min(self._idle(), key=lambda each: each._since, default=self)._abort()  # noqa: SLF001

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._since = self.loop.time()

    def on_response_complete(self) -> None:
        # Answers that pile up do not count.
        if (now := taken(self.transport)).acknowledged != self._acknowledged or not now.unsent:
            self._since, self._acknowledged = self.loop.time(), now.acknowledged
        super().on_response_complete()

    def _waits(self) -> bool:
        """Whether no request is being answered. Its head, or the next one's, may be on its way."""
        return bool(getattr(self.cycle, "response_complete", True))  # None before the first

    def _look_later(self, delay_s: float, look: "Callable[[object, int], None]") -> None:
        now = taken(self.transport).acknowledged
        self._timer = self.loop.call_later(delay_s, look, self.cycle, now)

    def _look(self, cycle: object, acknowledged: int) -> None:
        """Close if nothing has happened since the last look, and nobody waits for us."""
        now = taken(self.transport)
        if now.acknowledged != acknowledged:
            self._look_later(HEAD_S, self._look)
        elif self.flow.write_paused or now.unsent:
            self._abort()
        elif self._waits() and self.cycle is cycle:
            self._end()
        else:
            self._look_later(HEAD_S, self._look)

    def shutdown(self) -> None:
        super().shutdown()
        if self._waits():
            self._end()

    def _end(self) -> None:
        """Close. A side that does not take the rest, or says no goodbye, is not waited for."""
        if not self.transport.is_closing():  # asyncio cannot abort what was closed twice
            self.transport.close()
        self._timer.cancel()
        self._look_later(GOODBYE_S, self._part)

    def _part(self, _cycle: object, acknowledged: int) -> None:
        if taken(self.transport).acknowledged == acknowledged:
            self._abort()
        else:
            self._look_later(GOODBYE_S, self._part)

    def _idle(self) -> "Iterator[_Connection]":
        """The other connections that wait for a request, or do not take an answer."""
        for each in self.connections:
            if isinstance(each, _Connection) and each is not self and each._is_idle():  # noqa: SLF001
                yield each

    def _is_idle(self) -> bool:
        return self._waits() or self.flow.write_paused or taken(self.transport).unsent > 0

    def _abort(self) -> None:
        # Here, too: `connection_lost` is called later, and more may come before.
        self.connections.discard(self)
        self.transport.abort()


def url_of(host: str, port: int, *, secure: bool = False) -> str:
    """The URL of a server, `secure` if it speaks TLS."""
    scheme = "https" if secure else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
