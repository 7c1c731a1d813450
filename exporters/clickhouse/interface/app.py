"""The ASGI application: ClickHouse's HTTP interface on the embedded engine."""

import secrets
import uuid
from collections.abc import AsyncIterator, Iterator
from typing import NamedTuple

import anyio
from anyio.to_thread import run_sync
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from otel_llm.exporters.clickhouse.errors import EngineError
from otel_llm.exporters.clickhouse.interface.auth import Gate
from otel_llm.exporters.clickhouse.interface.body import EncodingError, TooLargeError, read_body
from otel_llm.exporters.clickhouse.interface.execute import Answer, Executor
from otel_llm.exporters.clickhouse.interface.request import Ask, read_ask

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
    """

    body_bytes: int
    threads: int = 8


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

    async def ping(self, request: Request) -> Response:
        """Say that the interface is up. Needs no token, as on a ClickHouse server."""
        if problem := self._gate.address(request):
            return PlainTextResponse(problem + "\n", 403)
        return PlainTextResponse("Ok.\n")

    async def root(self, request: Request) -> Response:
        """Run a statement."""
        if problem := self._gate.address(request):
            return PlainTextResponse(problem + "\n", 403)
        try:
            self._gate.clickhouse(request)
            body = await read_body(request, self._bounds.body_bytes)
            ask = read_ask(request, body)
            if not ask.split.statement:
                return PlainTextResponse("Ok.\n")
            return _respond(ask, await self._in_thread(ask), self._threads())
        except TooLargeError:
            detail = (
                f"the request's body is larger than {self._bounds.body_bytes} bytes. "
                "Send it in parts, or raise the setting max_body_bytes"
            )
            return _failed(EngineError(62000, detail, "REQUEST_TOO_LARGE"))
        except EncodingError as error:
            return _failed(EngineError(36, str(error), "BAD_ARGUMENTS"))
        except EngineError as error:
            return _failed(error)

    async def _in_thread(self, ask: Ask) -> Answer:
        return await run_sync(self._executor.execute, ask, limiter=self._threads())

    def _threads(self) -> anyio.CapacityLimiter:
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(self._bounds.threads)
        return self._limiter


def _respond(ask: Ask, answer: Answer, limiter: anyio.CapacityLimiter) -> Response:
    tag = secrets.token_hex(8)
    headers = {
        "X-ClickHouse-Summary": answer.summary,
        "X-ClickHouse-Format": answer.format,
        "X-ClickHouse-Timezone": "UTC",
        "X-ClickHouse-Query-Id": ask.query_id or str(uuid.uuid4()),
        "X-ClickHouse-Server-Display-Name": "otel-llm",
        "X-ClickHouse-Exception-Tag": tag,
        "Content-Type": _TYPES.get(answer.format, "text/plain; charset=UTF-8"),
    }
    return StreamingResponse(_in_threads(answer.blocks, tag, limiter), headers=headers)


async def _in_threads(
    blocks: Iterator[bytes], tag: str, limiter: anyio.CapacityLimiter
) -> AsyncIterator[bytes]:
    """Compute each block in a thread. A caller that goes away ends the query."""
    try:
        while (block := await run_sync(next, blocks, None, limiter=limiter)) is not None:
            yield block
    except EngineError as error:
        yield _late(error, tag)
    finally:
        close = getattr(blocks, "close", None)
        if close is not None:
            with anyio.CancelScope(shield=True):
                await run_sync(close)


def _late(error: EngineError, tag: str) -> bytes:
    """An error after the first byte, in the form of ClickHouse 25.11 and later.

    The status line is gone by then; readers know the tag from X-ClickHouse-Exception-Tag.
    """
    text = f"{error}\n"
    size = len(text.encode())
    marked = f"\r\n__exception__\r\n{tag}\r\n{text}{size} {tag}\r\n__exception__\r\n"
    return marked.encode()


def _failed(error: EngineError) -> Response:
    headers = {"X-ClickHouse-Exception-Code": str(error.code)}
    if error.http_status == 401:
        headers["WWW-Authenticate"] = 'Basic realm="otel-llm ClickHouse interface"'
    return PlainTextResponse(f"{error}\n", error.http_status, headers)
