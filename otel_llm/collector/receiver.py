"""OTLP/HTTP receiver for traces: checks a request and writes its spans to ClickHouse."""

import hashlib
from collections import Counter

import anyio
from anyio.to_thread import run_sync
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from otel_llm.collector.decoder import COLUMNS, MalformedError, check, decode
from otel_llm.collector.metrics_page import REASONS, page
from otel_llm.errors import StoreError
from otel_llm.exporters.clickhouse.engine import Engine
from otel_llm.exporters.clickhouse.errors import EngineError
from otel_llm.exporters.clickhouse.interface.auth import Gate
from otel_llm.exporters.clickhouse.interface.body import EncodingError, TooLargeError, read_body

_PROTOBUF = "application/x-protobuf"
# After 408 the rest of the body may never come, so the connection cannot be used again.
_HEADERS = {503: {"Retry-After": "2"}, 408: {"Connection": "close"}}

# TOO_MANY_PARTS: a block would make more than 100 partitions, and always will.
_TOO_MANY_DAYS = 252

_BODIES, _WRITERS = 8, 2
"""Bodies held at once, and written at once: they bound the receiver's memory. Senders wait."""

_READ_TIMEOUT_S = 30.0

_EXPANSION = 4
"""A request's rows may take this many times the largest body: spans repeat their resource."""

_INSERT = f"INSERT INTO otel_traces ({', '.join(f'`{name}`' for name in COLUMNS['otel_traces'])})"


class ExpandedError(ValueError):
    """The request's rows are larger than allowed: each repeats its resource and scope."""


class TraceStore:
    """Writes OTLP trace requests into `otel_traces`.

    Args:
        engine: with the schema applied.
        body_bytes: largest body; the rows of one may take four times as much.
    """

    def __init__(self, engine: Engine, body_bytes: int) -> None:
        self._engine = engine
        self._rows_bytes = body_bytes * _EXPANSION

    def write(self, body: bytes) -> None:
        """Store the spans of one request; the identical body again changes nothing.

        Args:
            body: a serialized ExportTraceServiceRequest.

        Raises:
            MalformedError: it is not one; none of its spans is stored.
            ExpandedError: its rows are too large; none of its spans is stored.
            EngineError: ClickHouse refused; none of the request's spans is stored.
        """
        checked = check("traces", body)
        if checked.expanded > self._rows_bytes:
            raise ExpandedError
        if checked.rejected:
            message = "an id has a wrong length, or a time is no time"
            raise MalformedError("Span", message)
        for block in decode("traces", [body]):
            with self._engine.session() as handle:
                handle.set({"insert_deduplication_token": hashlib.sha256(body).hexdigest()})
                handle.insert(_INSERT, "Native", block.body)


class Receiver:
    """The OTLP/HTTP endpoint `/v1/traces`, and its counters at `/metrics`.

    Args:
        store: where spans go.
        gate: Host, Origin and bearer token.
        body_bytes: largest body after decompression.

    Attributes:
        accepted: requests stored, and their `bytes`.
        refused: requests refused, by reason: `malformed`, `oversize`, `media_type`, `forbidden`,
            `incomplete`, `store_failed`.
    """

    def __init__(self, store: TraceStore, gate: Gate, body_bytes: int) -> None:
        self._store = store
        self._gate = gate
        self._body_bytes = body_bytes
        self._bodies = anyio.Semaphore(_BODIES)
        self._writers = anyio.CapacityLimiter(_WRITERS)
        self.accepted: Counter[str] = Counter()
        # Every reason is shown from the start: a counter that appears with its first loss hides it.
        self.refused: Counter[str] = Counter(dict.fromkeys(REASONS, 0))

    def app(self) -> Starlette:
        """The ASGI application."""
        return Starlette(
            routes=[
                Route("/v1/traces", self.traces, methods=["POST"]),
                Route("/metrics", self.metrics, methods=["GET"]),
            ]
        )

    async def metrics(self, request: Request) -> Response:
        """The receiver's counters, for Prometheus."""
        if problem := self._gate.address(request):
            return Response(problem, 403)
        if not self._gate.bearer(request):
            return Response("Give the token as Authorization: Bearer", 401)
        return page(self.accepted, self.refused)

    async def traces(self, request: Request) -> Response:
        """Take one export request."""
        if problem := self._gate.address(request):
            return self._refuse("forbidden", 403, 7, problem)
        if not self._gate.bearer(request):
            return self._refuse("forbidden", 401, 16, "Give the token as Authorization: Bearer")
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type != _PROTOBUF:
            message = f"Content-Type must be {_PROTOBUF}, not {media_type!r}"
            return self._refuse("media_type", 415, 3, message)
        async with self._bodies:
            return await self._take(request)

    async def _take(self, request: Request) -> Response:
        """Read and store the body, of which few are held at once."""
        try:
            with anyio.fail_after(_READ_TIMEOUT_S):
                body = await read_body(request, self._body_bytes)
        except TimeoutError:
            message = f"The body did not arrive within {_READ_TIMEOUT_S:g} s"
            return self._refuse("incomplete", 408, 4, message)
        except ClientDisconnect:
            return self._refuse("incomplete", 408, 1, "The connection broke within the body")
        except TooLargeError:
            message = f"The body is larger than {self._body_bytes} bytes; send smaller batches"
            return self._refuse("oversize", 413, 8, message)
        except EncodingError as error:
            return self._refuse("malformed", 400, 3, str(error))
        return await self._keep(body)

    async def _keep(self, body: bytes) -> Response:
        try:
            if body:
                await run_sync(self._store.write, body, limiter=self._writers)
        except MalformedError as error:
            message = f"The body is not an OTLP trace request: {error}"
            return self._refuse("malformed", 400, 3, message)
        except ExpandedError:
            message = "The spans take too much memory with their resource; send smaller batches"
            return self._refuse("oversize", 413, 8, message)
        except EngineError as error:
            if error.code == _TOO_MANY_DAYS:
                message = "The spans of one request may not start on more than 100 different days"
                return self._refuse("malformed", 400, 3, message)
            return self._refuse("store_failed", 503, 14, "The store is not taking spans just now")
        except StoreError:
            return self._refuse("store_failed", 503, 14, "The store is closed")
        self.accepted["requests"] += 1
        self.accepted["bytes"] += len(body)
        # An empty ExportTraceServiceResponse: everything was accepted.
        return Response(b"", media_type=_PROTOBUF)

    def _refuse(self, reason: str, status: int, code: int, message: str) -> Response:
        """Answer with a google.rpc.Status, as OTLP asks."""
        self.refused[reason] += 1
        headers = _HEADERS.get(status)
        return Response(_status(code, message), status, headers, media_type=_PROTOBUF)


def _status(code: int, message: str) -> bytes:
    """Serialize google.rpc.Status: field 1 is the code, field 2 the message."""
    text = message.encode()
    return b"\x08" + _varint(code) + b"\x12" + _varint(len(text)) + text


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
