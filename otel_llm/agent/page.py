"""The agent's HTTP page: `/metrics` for all on this address, `/open` for the token's holder.

Both answer only to known values of Host and Origin: a web page that a user of this machine looks at
could otherwise read them, under a name of its own that it lets point at this address.
"""

import hmac
import os
import secrets
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from otel_llm import private_dir
from otel_llm.agent.open_view import View
from otel_llm.exporters.clickhouse.interface.auth import Gate
from otel_llm.exporters.prometheus import MetricSet
from otel_llm.exporters.prometheus.page import encoder
from otel_llm.settings import Settings
from otel_llm.sockets import listen

TOKEN_NAME = "agent.token"  # noqa: S105  a file's name
LOOPBACK = ("127.0.0.1", "localhost", "::1")

_Handler = Callable[[Request], Awaitable[Response]]


def read_or_make_token(state_dir: Path) -> str:
    """The bearer token for `/open`, kept in `<state_dir>/agent.token` for its owner alone."""
    path = state_dir / TOKEN_NAME
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        kept = private_dir.read_file(path).strip()
        if kept:
            return kept
        path.unlink()
        return read_or_make_token(state_dir)
    token = secrets.token_urlsafe(32)
    with os.fdopen(file, "w", encoding="ascii") as stream:
        stream.write(token + "\n")
    return token


def make_gate(settings: Settings) -> Gate:
    """Who is answered: loopback, the page's own address, and what the settings allow."""
    hosts = (*LOOPBACK, settings.agent_host, *settings.allowed_hosts)
    return Gate("", hosts, settings.allowed_origins)


def make_app(
    metrics: MetricSet, open_view: Callable[[], View], token: str, gate: Gate
) -> Starlette:
    """The page as an ASGI app.

    Args:
        metrics: what the page shows.
        open_view: what is in flight now; may wait for a lock.
        token: bearer token of `/open`.
        gate: checks Host and Origin.
    """

    def gated(handler: _Handler) -> _Handler:
        async def handle(request: Request) -> Response:
            wrong = gate.address(request)
            return PlainTextResponse(f"{wrong}\n", 403) if wrong else await handler(request)

        return handle

    async def show(request: Request) -> Response:
        # Exemplars go out only in OpenMetrics, which the scraper asks for.
        encode, content_type = encoder(request.headers.get("accept", ""))
        body = await run_in_threadpool(encode, metrics)
        return Response(body, headers={"content-type": content_type})

    async def in_flight(request: Request) -> Response:
        given = request.headers.get("authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
            return PlainTextResponse(
                f"Send the token of <state_dir>/{TOKEN_NAME} as a bearer token.\n", 401
            )
        return JSONResponse(await run_in_threadpool(open_view))

    return Starlette(routes=[Route("/metrics", gated(show)), Route("/open", gated(in_flight))])


class Page:
    """Serves the app from a thread of its own.

    Args:
        app: the page.
        host: address to listen on.
        port: port; 0 picks a free one.

    Raises:
        SettingError: the address cannot be had.
    """

    def __init__(self, app: Starlette, host: str, port: int) -> None:
        self._socket = listen(host, port, "agent_port")
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{self._socket.getsockname()[1]}"
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                log_level="warning",
                access_log=False,
                lifespan="off",
                server_header=False,
                timeout_graceful_shutdown=1,
            )
        )
        self._thread = threading.Thread(
            target=self._server.run, args=([self._socket],), name="page", daemon=True
        )

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """End, waiting at most `timeout_s` seconds."""
        self._server.should_exit = True
        self._thread.join(timeout_s)
        self._socket.close()
