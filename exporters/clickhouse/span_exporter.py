"""OpenTelemetry spans straight into `otel_traces`, for whoever runs no collector."""

import hashlib
import logging
import os
import threading
import time
import weakref
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from otel_llm.backoff import chance, wait_s
from otel_llm.collector.decoder import COLUMNS, NativeBlock, check, decode
from otel_llm.errors import StoreError
from otel_llm.exporters.clickhouse.client import connect_server
from otel_llm.exporters.clickhouse.errors import http_status
from otel_llm.exporters.clickhouse.writer import insert_block
from otel_llm.settings import Settings, load

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

MOST_BYTES = 64 << 20
"""Largest block sent. Spans whose rows take more go in several."""

_log = logging.getLogger("otel_llm.span_exporter")


class ClickHouseSpanExporter(SpanExporter):
    """Writes spans as the collector's `clickhouseexporter` does. For use in a BatchSpanProcessor.

    A batch is tried until it is stored, refused, or `send_timeout_s` have passed since it came; the
    last try may take as long again. It is the identical block each time, which ClickHouse stores
    once. Nothing is kept between batches: the processor's queue is the only buffer.

    Args:
        settings: those of ClickHouse and `send_timeout_s`; from environment and file if None.

    Attributes:
        lost_spans: how many spans were given up.

    Raises:
        SettingError: the settings cannot be used.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self._settings = settings or load()
        self._stopped = threading.Event()
        self.lost_spans = 0
        self._start()
        os.register_at_fork(after_in_child=partial(_begin_anew, weakref.ref(self)))

    def _start(self) -> None:
        """Begin without a connection: one of the parent's must not be used in a child."""
        self._client: Client | None = None
        self._exporting = threading.Lock()
        self._failing = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Store spans.

        Returns:
            FAILURE if any of them was given up; the reason is logged.
        """
        with self._exporting:
            deadline = time.monotonic() + self._settings.send_timeout_s
            lost = sum(self._store(block, deadline) for block in _blocks(spans))
            self.lost_spans += lost
        return SpanExportResult.FAILURE if lost else SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """End at once the wait before a next try, and let go of the connection."""
        self._stopped.set()
        with self._exporting:
            self._disconnect()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Wait for a batch that is being stored.

        Returns:
            Whether none is after `timeout_millis`.
        """
        done = self._exporting.acquire(timeout=timeout_millis / 1000)
        if done:
            self._exporting.release()
        return done

    def _store(self, block: NativeBlock, deadline: float) -> int:
        """Try a block until the end. How many of its spans are lost."""
        failures = 0
        while (error := self._try(block)) is not None:
            failures += 1
            wait = wait_s(failures, chance())
            hopeless = _is_final(error) or time.monotonic() + wait > deadline
            if hopeless or self._stopped.wait(wait):
                self._tell(f"{block.rows} spans are lost: {error}")
                return block.rows
        self._failing = False
        return 0

    def _try(self, block: NativeBlock) -> StoreError | None:
        """Insert a block; what went wrong, or None."""
        if self._stopped.is_set():
            return StoreError("the exporter is shut down")
        try:
            self._insert(block)
        except StoreError as error:
            self._disconnect()
            return error
        return None

    def _insert(self, block: NativeBlock) -> None:
        if self._client is None:
            self._client = connect_server(self._settings)
        columns, token = COLUMNS[block.table], hashlib.sha256(block.body).hexdigest()
        insert_block(self._client, block.table, columns, "Native", block.body, token)

    def _disconnect(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _tell(self, text: str) -> None:
        """Log the first of a row of failures."""
        if not self._failing:
            _log.error("%s", text)
        self._failing = True


def _blocks(spans: Sequence[ReadableSpan]) -> list[NativeBlock]:
    """Spans as blocks of at most MOST_BYTES each, one span at least."""
    if not spans:
        return []
    body = encode_spans(spans).SerializeToString()
    if len(spans) > 1 and check("traces", body).expanded > MOST_BYTES:
        half = len(spans) // 2
        return _blocks(spans[:half]) + _blocks(spans[half:])
    return decode("traces", [body])


def _is_final(error: StoreError) -> bool:
    """Whether another try would end alike: the batch, the schema or the password is at fault."""
    status = http_status(error)
    return status is not None and 400 <= status < 500 and status not in (408, 429)


def _begin_anew(exporter: "weakref.ref[ClickHouseSpanExporter]") -> None:
    """In a child process: the connection and the lock are the parent's."""
    alive = exporter()
    if alive is not None:
        alive._start()  # noqa: SLF001  its own module
