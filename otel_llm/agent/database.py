"""The agent's one SQLite file: checkpoint and spool, so that one transaction moves both.

Write-ahead logging with `synchronous=NORMAL`: a killed process loses nothing committed. A machine
that loses power may lose the last commits, but then the journals on tmpfs are gone as well.
"""

import logging
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from otel_llm.errors import SettingError

FILE_NAME = "agent.db"
_VERSION = 2
_WAL_BYTES = 16 << 20
_FREE_PAGES = 4096
_SCHEMA = """
CREATE TABLE journals (
    name TEXT PRIMARY KEY, position INTEGER NOT NULL, seq INTEGER NOT NULL, state BLOB NOT NULL
);
CREATE TABLE open_facts (
    journal TEXT NOT NULL, kind TEXT NOT NULL, key NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (journal, kind, key)
);
CREATE TABLE batches (
    id INTEGER PRIMARY KEY AUTOINCREMENT, sink TEXT NOT NULL, target TEXT NOT NULL,
    token TEXT NOT NULL, items INTEGER NOT NULL, bytes INTEGER NOT NULL, ended BLOB NOT NULL,
    body BLOB NOT NULL
);
CREATE INDEX batches_by_sink ON batches (sink, id, items, bytes);
"""

_log = logging.getLogger("otel_llm.agent")


class Database:
    """A connection that threads share, one transaction at a time.

    Args:
        directory: where the file is; made, for its owner alone, if it is not there.

    Raises:
        SettingError: the directory cannot be used.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / FILE_NAME
        self._lock = threading.Lock()
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._connection = self._open()
        except (OSError, sqlite3.OperationalError) as error:
            raise _unusable(directory, error) from error

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Everything in the block is written, or nothing if it raises.

        Raises:
            sqlite3.Error: the file cannot be written; the disk may be full.
        """
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def shrink(self) -> None:
        """Give pages of delivered batches back to the disk once there are many."""
        with self._lock:
            (free,) = self._connection.execute("PRAGMA freelist_count").fetchone()
            if free > _FREE_PAGES:
                # `execute` would stop after the first page.
                self._connection.executescript(f"PRAGMA incremental_vacuum({free // 2})")

    def begin_anew(self, why: Exception) -> None:
        """Put a file aside that cannot be understood, and begin an empty one.

        Raises:
            SettingError: the directory cannot be used.
        """
        with self._lock:
            self._connection.close()
            try:
                self._connection = self._begin_anew(why)
            except (OSError, sqlite3.OperationalError) as error:
                raise _unusable(self.path.parent, error) from error

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def _open(self) -> sqlite3.Connection:
        # SQLite would make it readable for all.
        os.close(os.open(self.path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
        try:
            return self._connect()
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise
            return self._begin_anew(error)

    def _begin_anew(self, why: Exception) -> sqlite3.Connection:
        """Move the file and what SQLite keeps beside it out of the way, for somebody to look at."""
        aside = self.path.with_suffix(".damaged")
        for beside in ("", "-wal", "-shm"):
            kept = Path(f"{aside}{beside}")
            kept.unlink(missing_ok=True)
            with suppress(FileNotFoundError):
                Path(f"{self.path}{beside}").replace(kept)
        _log.error("%s is damaged (%s): moved to %s, begun anew", self.path, why, aside)
        os.close(os.open(self.path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
        return self._connect()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, timeout=5.0, isolation_level=None, check_same_thread=False
        )
        try:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version:
                _check(connection, version)
            else:
                connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            connection.execute("PRAGMA journal_mode = WAL").fetchone()
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES}").fetchone()
            if not version:
                connection.executescript(
                    f"BEGIN; {_SCHEMA} PRAGMA user_version = {_VERSION}; COMMIT;"
                )
        except BaseException:
            connection.close()
            raise
        return connection


def _check(connection: sqlite3.Connection, version: int) -> None:
    """See that a file is whole and ours.

    Raises:
        sqlite3.DatabaseError: it is damaged, or another release's.
    """
    if version != _VERSION:
        message = f"it has version {version}; this release knows {_VERSION}"
        raise sqlite3.DatabaseError(message)
    (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise sqlite3.DatabaseError(found)


def _unusable(directory: Path, error: Exception) -> SettingError:
    problem = f"{directory} cannot be used ({error})"
    return SettingError("state_dir", problem, "Name a directory of your own on a disk with room")
