"""The ASGI application: ClickHouse's HTTP interface on the embedded engine."""

import contextlib
import secrets
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from typing import NamedTuple

import anyio
from anyio.to_thread import run_sync
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from otel_llm.exporters.clickhouse.errors import EngineError
from otel_llm.exporters.clickhouse.interface.auth import Gate
from otel_llm.exporters.clickhouse.interface.body import EncodingError, TooLargeError, read_body
from otel_llm.exporters.clickhouse.interface.encoding import Encoder
from otel_llm.exporters.clickhouse.interface.execute import Answer, Executor
from otel_llm.exporters.clickhouse.interface.framing import frame, unframe
from otel_llm.exporters.clickhouse.interface.request import Ask, encoder, is_on, read_ask
from otel_llm.exporters.clickhouse.interface.sessions import Sessions

_TYPES = {
    "JSON": "application/json; charset=UTF-8",
    "JSONCompact": "application/json; charset=UTF-8",
    "JSONEachRow": "application/x-ndjson; charset=UTF-8",
    "CSV": "text/csv; charset=UTF-8; header=absent",
    "CSVWithNames": "text/csv; charset=UTF-8; header=present",
    "TabSeparated": "text/tab-separated-values; charset=UTF-8",
    "ArrowStream": "application/octet-stream",
    "Native": "application/octet-stream",
    "RowBinary": "application/octet-stream",
    "Parquet": "application/octet-stream",
}


class Bounds(NamedTuple):
    """Bounds of the interface.

    Attributes:
        body_bytes: largest request body after decompression.
        threads: statements that run at the same time; more wait.
        requests: requests that are being answered, those that wait included; more are refused.
    """

    body_bytes: int
    threads: int = 8
    requests: int = 100


def build_app(executor: Executor, gate: Gate, bounds: Bounds) -> Starlette:
    """Make the application.

    Args:
        executor: runs the statements.
        gate: checks Host, Origin and token.
        bounds: sizes.
    """
    interface = _Interface(executor, gate, bounds)
    return Starlette(
        routes=[
            Route("/ping", interface.ping, methods=["GET", "HEAD"]),
            Route("/", interface.root, methods=["GET", "POST", "HEAD"]),
        ]
    )


class _Interface:
    def __init__(self, executor: Executor, gate: Gate, bounds: Bounds) -> None:
        self._executor = executor
        self._gate = gate
        self._bounds = bounds
        self._limiter: anyio.CapacityLimiter | None = None
        self._sessions = Sessions(time.monotonic)
        self._inside = 0

    async def ping(self, request: Request) -> Response:
        """Say that the interface is up. Needs no token, as on a ClickHouse server."""
        if problem := self._gate.address(request):
            return PlainTextResponse(problem + "\n", 403)
        return PlainTextResponse("Ok.\n")

    async def root(self, request: Request) -> Response:
        """Run a statement."""
        if problem := self._gate.address(request):
            return PlainTextResponse(problem + "\n", 403)
        leave = contextlib.ExitStack()
        try:
            answer = await self._answer(request, leave)
        except TooLargeError:
            detail = (
                f"the request's body is larger than {self._bounds.body_bytes} bytes. "
                "Send it in parts, or raise the setting max_body_bytes"
            )
            answer = _failed(request, EngineError(62000, detail, "REQUEST_TOO_LARGE"))
        except EncodingError as error:
            answer = _failed(request, EngineError(36, str(error), "BAD_ARGUMENTS"))
        except EngineError as error:
            answer = _failed(request, error)
        except BaseException:
            leave.close()
            raise
        return _Leaving(answer, leave)

    async def _answer(self, request: Request, leave: contextlib.ExitStack) -> Response:
        caller = self._gate.clickhouse(request)
        self._enter(leave)
        body = await read_body(request, self._bounds.body_bytes)
        if is_on(request.query_params, "decompress"):
            body = await run_sync(unframe, body, self._bounds.body_bytes)
        ask = read_ask(request, body, caller.user, caller.may_write)
        if not ask.split.statement:
            return PlainTextResponse("Ok.\n")
        if ask.session is not None:
            self._sessions.enter(ask.session)
            leave.callback(self._sessions.leave, ask.session)
        packing = encoder(request)
        return _respond(ask, await self._in_thread(ask), packing, self._threads())

    def _enter(self, leave: contextlib.ExitStack) -> None:
        """Count the request in, until `leave` is closed."""
        if self._inside >= self._bounds.requests:
            detail = f"Too many simultaneous queries. Maximum: {self._bounds.requests}. Try again"
            raise EngineError(202, detail, "TOO_MANY_SIMULTANEOUS_QUERIES")
        self._inside += 1
        leave.callback(self._leave)

    def _leave(self) -> None:
        self._inside -= 1

    async def _in_thread(self, ask: Ask) -> Answer:
        return await run_sync(self._executor.execute, ask, limiter=self._threads())

    def _threads(self) -> anyio.CapacityLimiter:
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(self._bounds.threads)
        return self._limiter


class _Leaving(Response):
    """An answer that closes an exit stack once it has been sent, or the caller has gone."""

    def __init__(self, answer: Response, leave: contextlib.ExitStack) -> None:
        self._answer, self._leave = answer, leave

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._leave:
            await self._answer(scope, receive, send)


def _respond(
    ask: Ask, answer: Answer, packing: Encoder, limiter: anyio.CapacityLimiter
) -> Response:
    tag = secrets.token_hex(8)
    headers = {
        "X-ClickHouse-Summary": answer.summary,
        "X-ClickHouse-Format": answer.format,
        "X-ClickHouse-Timezone": "UTC",
        "X-ClickHouse-Query-Id": ask.query_id or str(uuid.uuid4()),
        "X-ClickHouse-Server-Display-Name": "otel-llm",
        "X-ClickHouse-Exception-Tag": tag,
        "Content-Type": _TYPES.get(answer.format, "text/plain; charset=UTF-8"),
        "Vary": "Accept-Encoding",
    }
    if packing.name is not None:
        headers["Content-Encoding"] = packing.name
    return StreamingResponse(_in_threads(answer.blocks, tag, packing, limiter), headers=headers)


async def _in_threads(
    blocks: Iterator[bytes], tag: str, packing: Encoder, limiter: anyio.CapacityLimiter
) -> AsyncIterator[bytes]:
    """Compute each block in a thread. A caller that goes away ends the query."""
    try:
        while (block := await run_sync(_next, blocks, packing, limiter=limiter)) is not None:
            yield block
    except EngineError as error:
        late = _late(error, tag)
        yield packing.add(late) if packing.covers_errors else late
    finally:
        close = getattr(blocks, "close", None)
        if close is not None:
            with anyio.CancelScope(shield=True):
                await run_sync(close)
    if end := packing.finish():
        yield end


def _next(blocks: Iterator[bytes], packing: Encoder) -> bytes | None:
    """The next block, compressed; None at the end."""
    block = next(blocks, None)
    return None if block is None else packing.add(block)


def _late(error: EngineError, tag: str) -> bytes:
    """An error after the first byte, in the form of ClickHouse 25.11 and later.

    The status line is gone by then; readers know the tag from X-ClickHouse-Exception-Tag.
    """
    text = f"{error}\n"
    size = len(text.encode())
    marked = f"\r\n__exception__\r\n{tag}\r\n{text}{size} {tag}\r\n__exception__\r\n"
    return marked.encode()


def _failed(request: Request, error: EngineError) -> Response:
    headers = {"X-ClickHouse-Exception-Code": str(error.code)}
    if error.http_status == 401:
        headers["WWW-Authenticate"] = 'Basic realm="otel-llm ClickHouse interface"'
    if is_on(request.query_params, "compress"):
        # Who asked for frames reads the error as a frame too.
        return Response(frame(f"{error}\n".encode()), error.http_status, headers)
    return PlainTextResponse(f"{error}\n", error.http_status, headers)
