"""What the agent goes on from after it died.

Per journal a cursor, a state and what is open, and the same of kernel rings; and the halves of
requests that wait for each other.
"""

import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from otel_llm.agent.database import Database
from otel_llm.agent.join import JoinState
from otel_llm.agent.open_facts import Change, Key
from otel_llm.clock import EpochNs
from otel_llm.facts import Producer
from otel_llm.journal.reader import Cursor

HALVES = ""
"""Stands for a journal's name with what belongs to no one journal."""

RINGS = "kernels-"
"""Begins the names of kernel rings."""

SavedFact = tuple[str, Key, bytes]
"""A kind, a key and bytes."""


class JournalState(msgspec.Struct):
    """What is kept of a journal beside its cursor.

    Attributes:
        producer: who writes it.
        join: state of its join.
        dropped: the writer's own count of drops, as last seen.
        swallowed: the writer's own count of swallowed errors, as last seen.
        ended_ns: wall time at which it was read out; None while it is followed.
    """

    producer: Producer
    join: JoinState
    dropped: int = 0
    swallowed: int = 0
    ended_ns: EpochNs | None = None


class SavedJournal(msgspec.Struct):
    """A journal as it is saved.

    Attributes:
        name: its file's name.
        cursor: where to read on.
        state: the rest.
        open_facts: what was open: kind, key and bytes.
    """

    name: str
    cursor: Cursor
    state: JournalState
    open_facts: list[SavedFact] = []


class Saved(NamedTuple):
    """All that an earlier agent left.

    Attributes:
        journals: by file name.
        halves: halves of requests that wait for the other, oldest first.
        rings: of each kernel ring, by file name, its state and what is open.
    """

    journals: dict[str, SavedJournal]
    halves: list[SavedFact]
    rings: dict[str, list[SavedFact]]


def save(connection: sqlite3.Connection, journal: SavedJournal, changes: Sequence[Change]) -> None:
    """Write a journal's cursor and state, and the changes of its open facts."""
    connection.execute(
        "INSERT OR REPLACE INTO journals VALUES (?, ?, ?, ?)",
        (
            journal.name,
            journal.cursor.position,
            journal.cursor.seq,
            msgspec.msgpack.encode(journal.state),
        ),
    )
    _save_changes(connection, journal.name, changes)


def save_halves(connection: sqlite3.Connection, changes: Sequence[Change]) -> None:
    """Write the changes of the halves that wait."""
    _save_changes(connection, HALVES, changes)


def save_ring(connection: sqlite3.Connection, name: str, changes: Sequence[Change]) -> None:
    """Write the changes of a kernel ring; its state is one of its open facts."""
    _save_changes(connection, name, changes)


def _save_changes(connection: sqlite3.Connection, name: str, changes: Sequence[Change]) -> None:
    connection.executemany(
        "DELETE FROM open_facts WHERE journal = ? AND kind = ? AND key = ?",
        [(name, kind, key) for kind, key, body in changes if body is None],
    )
    connection.executemany(
        "INSERT INTO open_facts VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET body = excluded.body",
        [(name, kind, key, body) for kind, key, body in changes if body is not None],
    )


def forget(connection: sqlite3.Connection, name: str) -> None:
    """Drop all that is kept of a journal."""
    connection.execute("DELETE FROM journals WHERE name = ?", (name,))
    connection.execute("DELETE FROM open_facts WHERE journal = ?", (name,))


def load(connection: sqlite3.Connection) -> Saved:
    """All that was saved, open facts in the order in which they began."""
    halves: list[SavedFact] = []
    rings: dict[str, list[SavedFact]] = {}
    journals = {
        name: SavedJournal(
            name, Cursor(position, seq), msgspec.msgpack.decode(state, type=JournalState)
        )
        for name, position, seq, state in connection.execute("SELECT * FROM journals")
    }
    for name, kind, key, body in connection.execute("SELECT * FROM open_facts ORDER BY rowid"):
        if name.startswith(RINGS):
            of_one = rings.setdefault(name, [])
        else:
            of_one = halves if name == HALVES else journals[name].open_facts
        of_one.append((kind, key, body))
    return Saved(journals, halves, rings)


def load_or_begin_anew(database: Database) -> Saved:
    """All that was saved; nothing if it cannot be understood, which puts it aside."""
    try:
        with database.transaction() as connection:
            return load(connection)
    except (msgspec.MsgspecError, KeyError, sqlite3.DatabaseError) as error:
        if isinstance(error, sqlite3.OperationalError):
            raise
        database.begin_anew(error)
        return Saved({}, [], {})
