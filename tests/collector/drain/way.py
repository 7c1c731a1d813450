"""The way from spool to table, driven by hand."""

import contextlib
from pathlib import Path

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from otel_llm.collector.decoder import check
from otel_llm.collector.drain import Drainer, Store
from otel_llm.collector.drain.quarantine import Quarantine
from otel_llm.collector.spool import Bounds, Spool, entry_of
from otel_llm.errors import StoreError
from otel_llm.exporters.clickhouse.engine import Engine
from tests.collector.doors.test_http import request_of, span_of

DAY_NS = 86_400 * 10**9


class Way:
    """A spool, a store and a drainer that is driven by hand."""

    def __init__(self, engine: Engine, directory: Path) -> None:
        self.directory = directory
        self.engine = engine
        self.spool = Spool(directory, Bounds(1 << 30, 1 << 30, 1000.0))
        quarantine = Quarantine(directory / "quarantine")
        self.store = Store(engine, quarantine)
        self.drainer = Drainer(self.spool, self.store, quarantine)

    def fill(self, *bodies: bytes) -> Path:
        """One closed segment with these requests."""
        for body in bodies:
            self.spool.offer(entry_of("traces", body, check("traces", body))).result(10)
        self.spool.close()
        path = self.spool.next_closed(0)
        assert path is not None
        return path

    def again(self) -> "Way":
        """What the next process would have."""
        self.spool.close()
        return Way(self.engine, self.directory)

    def drain(self) -> None:
        """Empty the spool."""
        while (path := self.spool.next_closed(0)) is not None:
            self.drainer.drain(path)

    def drain_as_long_as_it_fails(self) -> int:
        """What the drain thread does, without its pauses. Returns the tries that failed."""
        for number in range(100):
            with contextlib.suppress(StoreError, MemoryError):
                self.drain()
                return number
        return 100

    @property
    def set_aside(self) -> list[Path]:
        """Files of the quarantine."""
        return sorted((self.directory / "quarantine").iterdir())


def names(engine: Engine, table: str = "otel_traces", column: str = "SpanName") -> list[str]:
    """A column of a table, sorted."""
    with engine.session() as handle:
        return handle.run(f"SELECT {column} FROM {table} ORDER BY 1").decode().split()


def body_of(name: str, **fields: object) -> bytes:
    """A request with one span."""
    return request_of(span_of(name=name, **fields))


def over_days(name: str, days: int, first: int = 20_000) -> bytes:
    """A request whose spans start on many days: more partitions than one insert may make."""
    spans: list[Span] = [
        span_of(name=name, start_time_unix_nano=(first + day) * DAY_NS) for day in range(days)
    ]
    return request_of(*spans)
