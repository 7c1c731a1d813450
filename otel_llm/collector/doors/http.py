"""OTLP over HTTP: `/v1/traces`, `/v1/logs`, `/v1/metrics`, in protobuf or JSON."""

from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from otel_llm.collector.decoder import Signal
from otel_llm.collector.doors import wire
from otel_llm.collector.doors.intake import Body, Hold, Intake, Taken
from otel_llm.collector.doors.refusal import Refusal
from otel_llm.collector.doors.turns import Turns
from otel_llm.collector.spool.record import SIGNALS
from otel_llm.exporters.clickhouse.interface.auth import Gate

PROTOBUF, JSON = "application/x-protobuf", "application/json"
READERS = 64
"""Bodies read at once. What they hold together is bounded, too."""

_TOKEN = "Give the token as Authorization: Bearer"  # noqa: S105  words, no secret


class HttpDoor:
    """The HTTP endpoint, with the metrics page.

    Args:
        intake: takes the bodies.
        gate: Host, Origin and bearer token.
        page: makes the text of `/metrics`.
    """

    def __init__(self, intake: Intake, gate: Gate, page: Callable[[], Response]) -> None:
        self._intake, self._gate, self._page = intake, gate, page
        self._turns = Turns(READERS)

    def app(self) -> Starlette:
        """The ASGI application."""
        routes = [
            Route(f"/v1/{signal}", self._export(signal), methods=["POST"]) for signal in SIGNALS
        ]
        return Starlette(routes=[*routes, Route("/metrics", self.metrics, methods=["GET"])])

    async def metrics(self, request: Request) -> Response:
        """The counters, for Prometheus."""
        if problem := self._gate.address(request):
            return Response(problem, 403)
        if not self._gate.bearer(request):
            return Response(_TOKEN, 401)
        return self._page()

    def _export(self, signal: Signal) -> Callable[[Request], Awaitable[Response]]:
        async def export(request: Request) -> Response:
            is_json = _media_type(request) == JSON
            try:
                taken = await self._take(request, signal, is_json=is_json)
            except Refusal as refusal:
                self._intake.refuse(refusal)
                return _refused(refusal, is_json=is_json)
            content = wire.accepted(signal, taken.rejected, taken.message, as_json=is_json)
            return Response(content, media_type=JSON if is_json else PROTOBUF)

        return export

    async def _take(self, request: Request, signal: Signal, *, is_json: bool) -> Taken:
        self._admit(request)
        encoding = request.headers.get("content-encoding", "")
        with self._intake.hold() as hold:
            async with self._intake.turn(self._turns):
                raw = await self._read(request, hold)
            return await self._intake.take(Body(signal, raw, encoding, is_json), hold)

    def _admit(self, request: Request) -> None:
        """Let a request pass, by its head alone.

        Raises:
            Refusal: it is not let in.
        """
        if problem := self._gate.address(request):
            raise Refusal("forbidden", problem)
        if not self._gate.bearer(request):
            raise Refusal("unauthenticated", _TOKEN)
        if (given := _media_type(request)) not in (PROTOBUF, JSON):
            raise Refusal("media_type", f"Content-Type must be {PROTOBUF} or {JSON}, not {given!r}")
        if int(request.headers.get("content-length") or 0) > self._intake.body_bytes:
            raise self._intake.oversize()

    async def _read(self, request: Request, hold: Hold) -> bytes:
        parts: list[bytes] = []
        try:
            async for part in request.stream():
                hold.add(len(part))
                parts.append(part)
        except ClientDisconnect:
            raise Refusal("incomplete", "The connection broke within the body") from None
        return b"".join(parts)


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _refused(refusal: Refusal, *, is_json: bool) -> Response:
    """A google.rpc.Status in the encoding of the request, as OTLP asks."""
    headers = {}
    if refusal.retry_after_s is not None:
        headers["Retry-After"] = str(refusal.retry_after_s)
    if refusal.http == 408:
        # The rest of the body may never come, so the connection cannot be used again.
        headers["Connection"] = "close"
    content = wire.status(refusal, as_json=is_json)
    return Response(content, refusal.http, headers, media_type=JSON if is_json else PROTOBUF)
