"""The way in as one thing: two doors, a spool, and a thread that empties it into ClickHouse."""

import asyncio
import datetime as dt
from collections.abc import Mapping
from pathlib import Path

from starlette.applications import Starlette

from otel_llm.collector.decoder import COLUMNS
from otel_llm.collector.doors import Intake
from otel_llm.collector.doors.grpc import GrpcDoor
from otel_llm.collector.doors.http import HttpDoor
from otel_llm.collector.doors.refusal import REJECTIONS
from otel_llm.collector.doors.window import Windows, ages_s
from otel_llm.collector.drain import Drainer, Store
from otel_llm.collector.drain.quarantine import Quarantine
from otel_llm.collector.metrics_page import Values, page
from otel_llm.collector.spool import Bounds, Spool
from otel_llm.collector.spool.record import HEAD_BYTES, SIGNALS
from otel_llm.conventions import Metric, Metrics
from otel_llm.errors import StoreError
from otel_llm.exporters.clickhouse import schema
from otel_llm.exporters.clickhouse.engine import Engine
from otel_llm.exporters.clickhouse.interface.auth import Gate
from otel_llm.settings import Settings

_FINISH_S = 10.0
"""At a stop the store gets this long for what the spool holds; the next start does the rest."""


class Ingest:
    """Receives OTLP and stores it.

    Args:
        engine: with the schema applied; its data directory gets the folder `spool`.
        gate: who may come in.
        settings: bounds.
        not_after: until when the certificate of the doors is valid; None without one.

    Attributes:
        intake: the counters of what came.
        spool: what waits.
        store: the counters of what was stored.
        workers: the threads; none ends before `finish` but by an error.

    Raises:
        StoreError: the spool's directory is not private.
        OSError: it cannot be used.
    """

    def __init__(
        self, engine: Engine, gate: Gate, settings: Settings, not_after: dt.datetime | None = None
    ) -> None:
        self._not_after = not_after
        directory = Path(engine.data_dir) / "spool"
        bounds = Bounds(
            settings.otlp_spool_bytes, settings.otlp_segment_bytes, settings.otlp_segment_age_s
        )
        self.spool = Spool(directory, bounds)
        quarantine = Quarantine(directory / "quarantine")
        self.store = Store(engine, quarantine)
        self.drainer = Drainer(self.spool, self.store, quarantine)
        self.workers = (self.spool.worker, self.drainer.worker)
        # What the spool cannot hold is too large, whatever is read of it.
        body_bytes = min(settings.max_body_bytes, settings.otlp_spool_bytes - HEAD_BYTES)
        windows = Windows(ages_s(schema.wanted(settings.retention)))
        self.intake = Intake(self.spool, body_bytes, windows)
        self.grpc = GrpcDoor(self.intake, gate)
        self._http = HttpDoor(self.intake, gate, lambda: page(self.counts))

    def app(self) -> Starlette:
        """The ASGI application of the HTTP door."""
        return self._http.app()

    async def finish(self) -> None:
        """Store what is there, once the doors are closed."""
        await asyncio.to_thread(self.spool.close)
        await asyncio.to_thread(self.drainer.finish, _FINISH_S)

    def check(self) -> None:
        """Say whether a thread ended by an error.

        Raises:
            StoreError: one did. What was acknowledged is on disk, for the next start.
        """
        for worker in self.workers:
            if worker.ended.done() and (error := worker.ended.exception()) is not None:
                message = (
                    f"The thread {worker.name} ended by an error: {error!r}. Start `up` again."
                )
                raise StoreError(message) from error

    def counts(self) -> list[tuple[Metric, Values]]:
        """Every metric of the way in, with its values by labels."""
        return [
            (Metrics.OTLP_REQUESTS, self._accepted("requests")),
            (Metrics.OTLP_BYTES, self._accepted("bytes")),
            (Metrics.OTLP_ITEMS, self._accepted("items")),
            (Metrics.OTLP_REFUSED, _labelled(self.intake.refused)),
            (Metrics.OTLP_REPEATED, {(): self.spool.repeated}),
            (Metrics.OTLP_REJECTED, self._rejected()),
            (Metrics.OTLP_QUARANTINED, _labelled(self.store.dropped)),
            (Metrics.OTLP_DAMAGED, {(): self.drainer.damaged}),
            (Metrics.OTLP_LOST_SEGMENTS, {(): self.drainer.lost}),
            (Metrics.OTLP_ROWS, _labelled({t: self.store.rows[t] for t in COLUMNS})),
            (Metrics.OTLP_UNSEEN_ROWS, _labelled(self.store.unseen)),
            (Metrics.OTLP_STORE_FAILURES, {(): self.drainer.failures}),
            (Metrics.OTLP_SPOOL_BYTES, {(): self.spool.size}),
            (Metrics.OTLP_COMMITS, {(): self.spool.commits}),
            (Metrics.UP_CERTIFICATE_NOT_AFTER, self._expiry()),
        ]

    def _expiry(self) -> Values:
        return {} if self._not_after is None else {(): self._not_after.timestamp()}

    def _rejected(self) -> Values:
        return {
            (signal, reason): self.intake.rejected[signal, reason]
            for signal in SIGNALS
            for reason in REJECTIONS
        }

    def _accepted(self, what: str) -> Values:
        return {(signal,): self.intake.accepted[signal, what] for signal in SIGNALS}


def _labelled(values: Mapping[str, int]) -> Values:
    return {(label,): value for label, value in values.items()}
