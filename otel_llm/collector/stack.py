"""All of `otel-llm up` in one process: engine, schema, ClickHouse interface, OTLP receiver."""

import asyncio
import contextlib
import datetime as dt
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

from starlette.types import ASGIApp

from otel_llm import runfile
from otel_llm.collector import certificate
from otel_llm.collector.http_server import GRACE_S, Server, raise_file_limit, url_of
from otel_llm.collector.ingest import Ingest
from otel_llm.collector.loop_errors import LoopErrors
from otel_llm.exporters.clickhouse import schema
from otel_llm.exporters.clickhouse.door import Judge
from otel_llm.exporters.clickhouse.door.walk import Limits
from otel_llm.exporters.clickhouse.engine import Engine
from otel_llm.exporters.clickhouse.interface.app import Bounds, build_app
from otel_llm.exporters.clickhouse.interface.auth import Gate
from otel_llm.exporters.clickhouse.interface.execute import Executor
from otel_llm.settings import Settings
from otel_llm.sockets import listen

_log = logging.getLogger(__name__)
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class Stack:
    """The embedded stack. `start` it, then `serve` until `stop`, then `close`.

    Args:
        settings: where and within which bounds.

    Attributes:
        run: URLs and token file, once started.
        ingest: the OTLP receivers, their spool and counters.

    Raises:
        StoreError: the data directory is taken or cannot be opened.
        SettingError: an address or the certificate cannot be used.
    """

    run: runfile.RunFile
    ingest: Ingest

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._data_dir = Path(settings.data_dir).expanduser().absolute()
        self._certificate = _certificate(settings)
        self._engine = Engine(self._data_dir, settings.store_memory_bytes, "otel-llm up")
        self._stopping: asyncio.Event | None = None
        try:
            self._servers = self._prepare()
        except BaseException:
            self._engine.close()
            raise

    def _prepare(self) -> "list[Server]":
        settings = self._settings
        client = self._engine.client()
        try:
            schema.apply(client)
            schema.apply_retention(client, settings.retention)
        finally:
            client.close()
        token_file, token = runfile.token(self._data_dir)
        shown = self._certificate
        context = None if shown is None else shown.context
        clickhouse = Server(self._interface(token), self._listen("clickhouse_port"), context)
        loopback = settings.bind_host in _LOOPBACK
        otlp_token = settings.otlp_token or ("" if loopback else token)
        listener = self._listen("otlp_http_port")
        not_after = None if shown is None else shown.not_after
        self.ingest = Ingest(self._engine, self._gate(otlp_token), settings, not_after)
        otlp = Server(self.ingest.app(), listener, context)
        self.run = runfile.RunFile(
            os.getpid(),
            clickhouse.url,
            otlp.url,
            "",
            str(token_file),
            "" if shown is None else shown.pem,
        )
        return [clickhouse, otlp]

    def _interface(self, token: str) -> ASGIApp:
        settings = self._settings
        result_bytes = settings.max_body_bytes * 4
        memory = settings.store_memory_bytes - settings.store_memory_bytes // 8
        bounds = {
            "max_execution_time": settings.query_timeout_s,
            "max_memory_usage": memory,
            "max_result_bytes": result_bytes,
        }
        applied = {"max_execution_time": f"{settings.query_timeout_s:g}"}
        executor = Executor(
            self._engine,
            Judge(self._engine, Limits(bounds)),
            applied,
            result_bytes,
        )
        _, read_token = runfile.token(self._data_dir, "token_read")
        return build_app(executor, self._gate(token, read_token), Bounds(settings.max_body_bytes))

    def _gate(self, token: str, read_token: str = "") -> Gate:
        settings = self._settings
        return Gate(token, settings.allowed_hosts, settings.allowed_origins, read_token)

    def _listen(self, name: str) -> socket.socket:
        return listen(self._settings.bind_host, int(getattr(self._settings, name)), name)

    async def serve(self, ready: Callable[[runfile.RunFile], None] | None = None) -> None:
        """Serve until `stop`; `ready` is called once requests are answered.

        Raises:
            SettingError: the port of gRPC cannot be used.
            StoreError: a thread of the way in ended by an error, so all was stopped.
        """
        self._stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(LoopErrors())
        for worker in self.ingest.workers:
            worker.ended.add_done_callback(lambda _ended: self._worker_ended(loop))
        host = self._settings.bind_host
        shown = self._certificate
        port = await self.ingest.grpc.start(host, self._settings.otlp_grpc_port, shown)
        grpc_url = url_of(host, port, secure=shown is not None)
        self.run = self.run._replace(otlp_grpc_url=grpc_url)
        self.ingest.drainer.start()
        tasks = [asyncio.create_task(server.serve()) for server in self._servers]
        try:
            for server in self._servers:
                await server.ready.wait()
            runfile.write(self._data_dir, self.run)
            if ready is not None:
                ready(self.run)
            await self._stopping.wait()
        finally:
            runfile.remove(self._data_dir)
            for server in self._servers:
                server.should_exit = True
            await self.ingest.grpc.stop(GRACE_S)
            await self._drain(asyncio.gather(*tasks))
            await self.ingest.finish()
        self.ingest.check()

    def _worker_ended(self, loop: asyncio.AbstractEventLoop) -> None:
        """Stop: without its threads the way in would say busy for ever. Runs in the thread."""
        if not loop.is_closed():
            loop.call_soon_threadsafe(self.stop)

    async def _drain(self, servers: "asyncio.Future[list[None]]") -> None:
        """Wait for the servers to end, and for no query: those that still run are cancelled."""
        while not servers.done():
            await asyncio.to_thread(self._engine.cancel_queries)
            await asyncio.wait([servers], timeout=0.2)
        await servers

    def stop(self) -> None:
        """Ask `serve` to end. To be called in its event loop."""
        if self._stopping is not None:
            self._stopping.set()

    @property
    def stuck(self) -> bool:
        """Whether a block is still being stored, though its time is over."""
        return self.ingest.drainer.worker.at_work

    def close(self) -> None:
        """Close the listeners and the data directory; not the engine under a block."""
        for server in self._servers:
            server.listener.close()
        self.ingest.spool.close()
        if not self.stuck:
            self._engine.close()


def _certificate(settings: Settings) -> certificate.Certificate | None:
    shown = certificate.load(settings)
    if shown is not None:
        for each in certificate.warnings(settings, shown, dt.datetime.now(dt.timezone.utc)):
            _log.warning("%s", each)
    return shown


def run_stack(settings: Settings, ready: Callable[[runfile.RunFile], None] | None = None) -> None:
    """Run the embedded stack until SIGTERM or SIGINT.

    Args:
        settings: data directory, addresses and bounds.
        ready: called with the URLs once the stack answers; prints a line if None.

    Raises:
        StoreError: the data directory is taken or cannot be opened.
        SettingError: a port or the certificate cannot be used.
    """
    raise_file_limit()
    stack = Stack(settings)
    try:
        asyncio.run(_until_signal(stack, ready or _say_ready))
    finally:
        stack.close()
    if stack.stuck:
        # The engine crashes if it is ended under a statement. All that counts is on disk.
        sys.stdout.flush()
        os._exit(0)


async def _until_signal(stack: Stack, ready: Callable[[runfile.RunFile], None]) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(ValueError, NotImplementedError):
            loop.add_signal_handler(number, stack.stop)
    await stack.serve(ready)


def _say_ready(run: runfile.RunFile) -> None:
    line = f"otel-llm up is ready: ClickHouse {run.clickhouse_url}, OTLP {run.otlp_url}"
    print(line, flush=True)  # noqa: T201  the ready line is this command's output
