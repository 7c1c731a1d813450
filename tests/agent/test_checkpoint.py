"""What is saved of a journal comes back the same."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from otel_llm.agent.checkpoint import (
    JournalState,
    Saved,
    SavedJournal,
    forget,
    load,
    save,
    save_ring,
)
from otel_llm.agent.database import Database
from otel_llm.agent.join import JoinState
from otel_llm.agent.open_facts import OpenFacts, OpenRequest, Recent
from otel_llm.clock import EpochNs
from otel_llm.journal.reader import Cursor
from tests.agent.builders import ENGINE, anchor, arrived, at


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A fresh database."""
    made = Database(tmp_path)
    yield made
    made.close()


def saved(name: str = "engine-1.journal", position: int = 64) -> SavedJournal:
    """A journal as it is saved."""
    state = JournalState(
        ENGINE, JoinState(anchor(3), at(4), lost=5, started=True), 6, 7, EpochNs(8)
    )
    return SavedJournal(name, Cursor(position, 9), state)


def test_round_trip(database: Database) -> None:
    """Cursor, state and open facts, the latter in the order in which they came."""
    with database.transaction() as connection:
        save(
            connection,
            saved(),
            [("request", 9, b"nine"), ("request", 2, b"two"), ("request", 1, b"one")],
        )
        save(connection, saved(position=128), [("request", 2, b"II"), ("call", "x", b"three")])
        save(connection, saved(position=192), [("request", 1, None), ("request", 99, None)])
    with database.transaction() as connection:
        loaded = load(connection)
    expected = saved(position=192)
    expected.open_facts = [("request", 9, b"nine"), ("request", 2, b"II"), ("call", "x", b"three")]
    assert loaded == Saved({"engine-1.journal": expected}, [], {})


def test_rings_come_back(database: Database) -> None:
    """State and open facts of a kernel ring, by its file's name, apart from journals."""
    name = f"kernels-{'c' * 32}.ring"
    with database.transaction() as connection:
        save_ring(connection, name, [("ring", 0, b"one"), ("kernels.kept", 5, b"")])
        save_ring(connection, name, [("ring", 0, b"two")])
        rings = {name: [("ring", 0, b"two"), ("kernels.kept", 5, b"")]}
        assert load(connection) == Saved({}, [], rings)
        forget(connection, name)
        assert load(connection) == Saved({}, [], {})


def test_forget(database: Database) -> None:
    """Nothing stays of a forgotten journal; others are untouched."""
    with database.transaction() as connection:
        save(connection, saved("a"), [("request", 1, b"one")])
        save(connection, saved("b"), [("request", 1, b"one")])
        forget(connection, "a")
        assert list(load(connection).journals) == ["b"]
        assert connection.execute("SELECT journal FROM open_facts").fetchall() == [("b",)]


def test_open_facts_are_saved_by_their_changes() -> None:
    """Only what changed since the last save is written, and ends are remembered too."""
    facts = OpenFacts("request", OpenRequest, 10)
    for index in (1, 2, 3):
        facts.put(index, OpenRequest(index, anchor(), arrived(index)))
    assert [key for _, key, _ in facts.changes()] == [1, 2, 3]
    facts.saved()
    assert facts.changes() == []
    facts.touch(2)
    facts.end(3)
    changes = facts.changes()
    assert {(kind, key, body is None) for kind, key, body in changes} == {
        ("request", 2, False),
        ("request", 3, True),
        ("request.ended", 0, False),
    }


def test_open_facts_come_back() -> None:
    """What was open is open again, in order; what had ended has ended."""
    facts = OpenFacts("request", OpenRequest, 10)
    for index in (3, 1, 2):
        facts.put(index, OpenRequest(index, anchor(), arrived(index)))
    facts.end(1)
    rows = [(kind, key, body) for kind, key, body in facts.changes() if body is not None]
    again = OpenFacts("request", OpenRequest, 10)
    again.restore(rows)
    assert list(again) == list(facts)
    assert (again.has_ended(1), again.has_ended(2)) == (True, False)
    assert again.changes() == []


def test_recent_keys_are_bounded() -> None:
    """The oldest key is forgotten, in memory and in what is saved."""
    recent = Recent("ended", most=2)
    for key in (1, 2, 1, 3):
        recent.add(key)
    assert [key in recent for key in (1, 2, 3)] == [False, True, True]
    again = Recent("ended", most=2)
    again.restore((kind, key, body) for kind, key, body in recent.changes() if body is not None)
    assert [key in again for key in (1, 2, 3)] == [False, True, True]


def test_what_is_saved_of_recent_keys_is_bounded_too() -> None:
    """Chunks that are forgotten are taken out; after a restart the oldest still go first."""
    store: dict[object, bytes] = {}
    for start in range(0, 900, 100):
        recent = Recent("ended", most=64)
        recent.restore(("ended", key, body) for key, body in store.items())  # type: ignore[misc]
        for key in range(start, start + 100):
            recent.add(key)
            assert key in recent
        for _, chunk, body in recent.changes():
            store.pop(chunk, None)
            if body is not None:
                store[chunk] = body
        recent.saved()
        assert sum(key in recent for key in range(start + 100)) in range(60, 65)
        assert start + 99 in recent
        assert len(store) <= 17


def test_a_key_added_after_a_restart_is_the_newest() -> None:
    """It does not go with the oldest, whose chunk was the first one too."""
    recent, again = Recent("ended", most=64), Recent("ended", most=64)
    for key in range(64):
        recent.add(key)
    again.restore((kind, key, body) for kind, key, body in recent.changes() if body is not None)
    again.add(64)
    assert [key in again for key in (0, 63, 64)] == [False, True, True]


def _seconds_to_put(most: int, count: int = 20_000) -> float:
    """CPU time of `count` puts past the bound, each of which puts the oldest out."""
    facts = OpenFacts("request", OpenRequest, most)
    recent = Recent("ended", most)
    one = OpenRequest(1, anchor())
    for key in range(most):
        facts.put(key, one)
        recent.add(key)
    start = time.process_time()
    for key in range(most, most + count):
        facts.put(key, one)
        recent.add(key)
    return time.process_time() - start


def test_past_the_bound_the_oldest_is_found_at_once() -> None:
    """A journal of ever new requests costs the same for each, however many are kept."""
    few = min(_seconds_to_put(100) for _ in range(3))
    many = min(_seconds_to_put(100_000) for _ in range(3))
    assert many < 10 * few + 0.05
