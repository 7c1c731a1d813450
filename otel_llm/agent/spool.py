"""Batches that wait for their sink, oldest first, within a bound."""

import sqlite3
import threading
import uuid
from collections import Counter
from collections.abc import Iterable
from typing import Literal

import msgspec

from otel_llm.agent.database import Database
from otel_llm.clock import MonotonicNs

SinkName = Literal["clickhouse", "otlp"]
SINKS: tuple[SinkName, ...] = ("clickhouse", "otlp")


class Ended(msgspec.Struct, frozen=True, array_like=True):
    """When the requests of a batch ended, for measuring finish to row.

    Attributes:
        boot_id: boot in which the stamps count; empty if there are none.
        finished_ns: one stamp per request, in monotonic nanoseconds.
    """

    boot_id: str = ""
    finished_ns: list[MonotonicNs] = []


class Batch(msgspec.Struct, frozen=True):
    """Bytes for one sink, made once and sent unchanged until acknowledged.

    Attributes:
        sink: who gets them.
        target: table, or signal.
        items: rows or spans.
        body: the bytes.
        ended: when the requests in it ended.
        token: names the batch, so that a sink can tell a retry; random.
        id: its place in the spool; 0 before it is there.
    """

    sink: SinkName
    target: str
    items: int
    body: bytes
    ended: Ended = Ended()
    token: str = msgspec.field(default_factory=lambda: uuid.uuid4().hex)
    id: int = 0


class Spool:
    """The batches in the agent's database.

    Args:
        database: the agent's.
        most_bytes: bound of all bodies together.
    """

    def __init__(self, database: Database, most_bytes: int) -> None:
        self._database = database
        self._most_bytes = most_bytes
        self._sending: set[int] = set()
        self._sizes_lock = threading.Lock()
        self._bytes: Counter[str] = Counter()
        with database.transaction() as connection:
            rows = connection.execute("SELECT sink, sum(bytes) FROM batches GROUP BY sink")
            self._bytes.update(dict(rows.fetchall()))

    @property
    def sizes(self) -> dict[str, int]:
        """Bytes waiting, by sink."""
        with self._sizes_lock:
            return {sink: self._bytes[sink] for sink in SINKS}

    def add(
        self, connection: sqlite3.Connection, batches: Iterable[Batch]
    ) -> tuple[int, Counter[str]]:
        """Put batches in, and the oldest out if there is no room, within a transaction.

        Returns:
            Rows and spans put out, and by how many bytes each sink's share changes; pass the
            changes to `resize` once the transaction is through.
        """
        change: Counter[str] = Counter()
        for batch in batches:
            connection.execute(
                "INSERT INTO batches (sink, target, token, items, bytes, ended, body) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    batch.sink,
                    batch.target,
                    batch.token,
                    batch.items,
                    len(batch.body),
                    msgspec.msgpack.encode(batch.ended),
                    batch.body,
                ),
            )
            change[batch.sink] += len(batch.body)
        return self._make_room(connection, change), change

    def resize(self, change: Counter[str]) -> None:
        """Take in changes of size that are written."""
        with self._sizes_lock:
            self._bytes.update(change)

    def oldest(self, sink: SinkName) -> Batch | None:
        """The sink's oldest batch; None if nothing waits. It is safe until released or removed."""
        with self._database.transaction() as connection:
            row = connection.execute(
                "SELECT sink, target, items, body, ended, token, id FROM batches "
                "WHERE sink = ? ORDER BY id LIMIT 1",
                (sink,),
            ).fetchone()
            if row is None:
                return None
            self._sending.add(row[6])
        ended = msgspec.msgpack.decode(row[4], type=Ended)
        return Batch(row[0], row[1], row[2], row[3], ended, row[5], row[6])

    def release(self, batch: Batch) -> None:
        """It was not delivered; it may be put out for newer ones."""
        self._sending.discard(batch.id)

    def remove(self, batch: Batch) -> None:
        """It was acknowledged, or refused for good."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM batches WHERE id = ?", (batch.id,))
        self._sending.discard(batch.id)
        self.resize(Counter({batch.sink: -len(batch.body)}))
        self._database.shrink()

    def _make_room(self, connection: sqlite3.Connection, change: Counter[str]) -> int:
        surplus = sum(self.sizes.values()) + change.total() - self._most_bytes
        put_out = 0
        if surplus <= 0:
            return 0
        for batch_id, sink, items, size in connection.execute(
            "SELECT id, sink, items, bytes FROM batches ORDER BY id"
        ).fetchall():
            if surplus <= 0:
                break
            if batch_id in self._sending:
                continue
            connection.execute("DELETE FROM batches WHERE id = ?", (batch_id,))
            put_out += items
            surplus -= size
            change[sink] -= size
        return put_out
