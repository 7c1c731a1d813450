"""Batches that wait, in order and within a bound."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from otel_llm.agent.database import Database
from otel_llm.agent.spool import Batch, Ended, SinkName, Spool
from otel_llm.clock import MonotonicNs


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A fresh database."""
    made = Database(tmp_path / "state")
    yield made
    made.close()


def batch(name: str, size: int = 10, sink: SinkName = "clickhouse") -> Batch:
    """A batch of so many bytes, as many rows, and a telling target."""
    return Batch(sink, name, size, b"x" * size, Ended("boot", [MonotonicNs(5)]))


def put(database: Database, spool: Spool, *batches: Batch) -> int:
    """Save batches as the agent does; gives the rows put out."""
    with database.transaction() as connection:
        put_out, change = spool.add(connection, batches)
    spool.resize(change)
    return put_out


def targets(spool: Spool, sink: SinkName = "clickhouse") -> list[str]:
    """Take everything out, oldest first."""
    found = []
    while (oldest := spool.oldest(sink)) is not None:
        found.append(oldest.target)
        spool.remove(oldest)
    return found


def test_oldest_first_and_sinks_apart(database: Database) -> None:
    """Each sink gets its own batches in the order in which they were made."""
    spool = Spool(database, 1_000)
    assert put(database, spool, batch("a"), batch("b", sink="otlp"), batch("c")) == 0
    assert spool.sizes == {"clickhouse": 20, "otlp": 10}
    assert (targets(spool), targets(spool, "otlp")) == (["a", "c"], ["b"])
    assert spool.sizes == {"clickhouse": 0, "otlp": 0}


def test_unchanged_until_removed(database: Database) -> None:
    """A batch that was not acknowledged comes again, with the same token and bytes."""
    spool = Spool(database, 1_000)
    given = batch("a")
    put(database, spool, given)
    first = spool.oldest("clickhouse")
    assert first is not None
    spool.release(first)
    assert spool.oldest("clickhouse") == first
    assert (first.token, first.body, first.ended) == (given.token, given.body, given.ended)


def test_tokens_are_unlike() -> None:
    """Two batches never share a token, even with the same bytes."""
    assert batch("a").token != batch("a").token


def test_past_the_bound_the_oldest_goes(database: Database) -> None:
    """Room is made from the oldest on, whoever they are for, and the rows put out are told."""
    spool = Spool(database, 50)
    put(database, spool, batch("a"), batch("b", sink="otlp"), batch("c", 20))
    assert put(database, spool, batch("d", 25)) == 20
    assert spool.sizes == {"clickhouse": 45, "otlp": 0}
    assert targets(spool) == ["c", "d"]


def test_a_batch_being_sent_stays(database: Database) -> None:
    """What a delivery has in hand is not put out under it; it would be counted twice."""
    spool = Spool(database, 30)
    put(database, spool, batch("a"), batch("b"))
    in_hand = spool.oldest("clickhouse")
    assert put(database, spool, batch("c", 20)) == 10
    assert in_hand is not None
    spool.release(in_hand)
    assert targets(spool) == ["a", "c"]


def test_a_batch_larger_than_the_bound(database: Database) -> None:
    """It goes like any other, and is told."""
    spool = Spool(database, 30)
    assert put(database, spool, batch("a"), batch("huge", 31)) == 41
    assert spool.sizes == {"clickhouse": 0, "otlp": 0}


def test_a_failed_transaction_changes_nothing(database: Database) -> None:
    """What was not written does not count."""
    spool = Spool(database, 1_000_000)
    put(database, spool, batch("a"))
    with database.transaction() as connection:
        [[pages]] = connection.execute("PRAGMA page_count").fetchall()
        connection.execute(f"PRAGMA max_page_count = {pages}").fetchall()
    with pytest.raises(sqlite3.OperationalError, match="full"):
        put(database, spool, batch("b", 5), batch("c", 100_000))
    assert spool.sizes == {"clickhouse": 10, "otlp": 0}
    assert targets(spool) == ["a"]


def test_it_is_there_after_a_restart(database: Database, tmp_path: Path) -> None:
    """A new agent finds the batches and their sizes."""
    put(database, Spool(database, 1_000), batch("a"), batch("b", 7, "otlp"))
    again = Database(tmp_path / "state")
    spool = Spool(again, 1_000)
    assert spool.sizes == {"clickhouse": 10, "otlp": 7}
    assert targets(spool) == ["a"]
    again.close()


def test_the_file_shrinks(database: Database) -> None:
    """The disk space of a long outage comes back once the sink has caught up."""
    spool = Spool(database, 1 << 30)
    for number in range(40):
        put(database, spool, batch(str(number), 1 << 20))
    with database.transaction() as connection:
        [[before]] = connection.execute("PRAGMA page_count").fetchall()
    targets(spool)
    with database.transaction() as connection:
        [[after]] = connection.execute("PRAGMA page_count").fetchall()
    assert before > 10_000
    assert after < before / 2
