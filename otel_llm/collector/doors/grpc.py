"""OTLP over gRPC. Bodies stay bytes: no message class is generated or loaded."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio

from otel_llm.collector.certificate import Certificate
from otel_llm.collector.decoder import Signal
from otel_llm.collector.doors import wire
from otel_llm.collector.doors.intake import Body, Hold, Intake
from otel_llm.collector.doors.refusal import Refusal
from otel_llm.collector.doors.turns import Turns
from otel_llm.collector.http_server import HEAD_S, most_connections
from otel_llm.errors import SettingError
from otel_llm.exporters.clickhouse.interface.auth import Gate

METHODS: dict[str, Signal] = {
    "/opentelemetry.proto.collector.trace.v1.TraceService/Export": "traces",
    "/opentelemetry.proto.collector.logs.v1.LogsService/Export": "logs",
    "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export": "metrics",
}
READERS = 8
"""Bodies read at once: gRPC gives a body as a whole, so only its bound is known before."""

_CALLS = 1024
"""Calls at once. More are refused before anything is read."""

_IDLE_MS = 60_000
"""A connection without a call is closed after so long; its client opens another."""

_CODES: dict[int, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}
_Context = Any  # grpc.aio.ServicerContext, which carries no types


class GrpcDoor:
    """The gRPC server.

    Args:
        intake: takes the bodies.
        gate: bearer token.
    """

    def __init__(self, intake: Intake, gate: Gate) -> None:
        self._intake, self._gate = intake, gate
        self._turns = Turns(READERS)
        self._server: Any = None

    async def start(self, host: str, port: int, certificate: Certificate | None = None) -> int:
        """Listen and serve, in the running event loop; over TLS if a certificate is given.

        Returns:
            The port.

        Raises:
            SettingError: the address cannot be used.
        """
        options = [
            ("grpc.max_receive_message_length", self._intake.body_bytes),
            # Two servers on one port would each get a share of the connections.
            ("grpc.so_reuseport", 0),
            ("grpc.max_allowed_incoming_connections", most_connections()),
            ("grpc.server_handshake_timeout_ms", int(HEAD_S * 1000)),
            ("grpc.max_connection_idle_ms", _IDLE_MS),
        ]
        self._server = grpc.aio.server(options=options, maximum_concurrent_rpcs=_CALLS)
        self._server.add_generic_rpc_handlers((_Exports(self),))
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            bound = self._add_port(address, certificate)
        except RuntimeError as error:
            remedy = "Stop what uses it, or name another port"
            problem = f"cannot listen on {address}"
            raise SettingError("otlp_grpc_port", problem, remedy) from error
        await self._server.start()
        return int(bound)

    def _add_port(self, address: str, certificate: Certificate | None) -> int:
        if certificate is None:
            return int(self._server.add_insecure_port(address))
        # gRPC speaks TLS 1.2 and 1.3, and no older one.
        pair = (certificate.key, certificate.chain)
        return int(self._server.add_secure_port(address, grpc.ssl_server_credentials([pair])))

    async def stop(self, grace_s: float) -> None:
        """Take no more calls, and wait for those in progress."""
        await self._server.stop(grace_s)

    async def export(self, signal: Signal, context: _Context) -> bytes:
        """Answer one call. Its body is read only after it is let in."""
        try:
            with self._intake.hold() as hold:
                self._admit(context)
                async with self._intake.turn(self._turns):
                    body = await self._read(context, hold)
                taken = await self._intake.take(Body(signal, body), hold)
        except Refusal as refusal:
            self._intake.refuse(refusal)
            details = (("grpc-status-details-bin", wire.status(refusal, as_json=False)),)
            await context.abort(_CODES[refusal.code], refusal.message, details)
        return wire.accepted(signal, taken.rejected, taken.message, as_json=False)

    def _admit(self, context: _Context) -> None:
        given = dict(context.invocation_metadata()).get("authorization", "")
        if not self._gate.knows_bearer(given):
            message = "Give the token as metadata authorization: Bearer"
            raise Refusal("unauthenticated", message)

    async def _read(self, context: _Context, hold: Hold) -> bytes:
        body = await context.read()
        if body is grpc.aio.EOF:
            # gRPC itself has answered that a body is too large; else there was none.
            message = f"No body, or one of more than {self._intake.body_bytes} bytes"
            raise Refusal("oversize", message)
        hold.add(len(body))
        return bytes(body)


class _Exports(grpc.GenericRpcHandler):
    """The three methods. To gRPC their requests are streams, so that we say when to read."""

    def __init__(self, door: GrpcDoor) -> None:
        self._handlers: dict[str, Any] = {
            method: grpc.stream_unary_rpc_method_handler(_handler(door, signal))
            for method, signal in METHODS.items()
        }

    def service(self, handler_call_details: Any) -> Any:  # noqa: ANN401  gRPC is untyped
        return self._handlers.get(handler_call_details.method)


def _handler(door: GrpcDoor, signal: Signal) -> Any:  # noqa: ANN401
    async def export(_requests: AsyncIterator[bytes], context: _Context) -> bytes:
        return await door.export(signal, context)

    return export
