"""The agent's SQLite file: private, whole, and replaced when it is damaged."""

import logging
import sqlite3
import stat
from pathlib import Path

import pytest

from otel_llm.agent.database import FILE_NAME, Database
from otel_llm.errors import SettingError


def write(database: Database, *statements: str) -> None:
    """Run statements in one transaction."""
    with database.transaction() as connection:
        for statement in statements:
            connection.execute(statement)


def test_for_its_owner_alone(tmp_path: Path) -> None:
    """Nobody else may read the directory or the files in it."""
    database = Database(tmp_path / "deep" / "state")
    with database.transaction() as connection:
        connection.execute("CREATE TABLE t (x)")
    modes = {
        stat.S_IMODE(path.stat().st_mode)
        for path in [tmp_path / "deep" / "state", *(tmp_path / "deep" / "state").iterdir()]
    }
    database.close()
    assert modes == {0o700, 0o600}


def test_all_or_nothing(tmp_path: Path) -> None:
    """A block that raises leaves no trace."""
    database = Database(tmp_path)
    with database.transaction() as connection:
        connection.execute("CREATE TABLE t (x NOT NULL)")
    with pytest.raises(sqlite3.IntegrityError):
        write(database, "INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (NULL)")
    with database.transaction() as connection:
        assert connection.execute("SELECT * FROM t").fetchall() == []
    database.close()


def test_a_damaged_file_is_put_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The agent begins anew, keeps the damaged file and says so."""
    (tmp_path / FILE_NAME).write_bytes(b"this is no database " * 100)
    with caplog.at_level(logging.ERROR):
        database = Database(tmp_path)
    with database.transaction() as connection:
        assert connection.execute("SELECT * FROM batches").fetchall() == []
    database.close()
    assert (tmp_path / "agent.damaged").read_bytes().startswith(b"this is no database")
    assert "is damaged" in caplog.text


def test_a_directory_that_cannot_be_used(tmp_path: Path) -> None:
    """The error names the setting, what is wrong and what to do."""
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(
        SettingError, match=r"state_dir: .*file.* cannot be used .* Name a directory"
    ):
        Database(tmp_path / "file")


def test_full(tmp_path: Path) -> None:
    """A full disk is an error of SQLite that callers can catch, and nothing is half written."""
    database = Database(tmp_path)
    with database.transaction() as connection:
        connection.execute("CREATE TABLE t (x)")
    with database.transaction() as connection:
        [[pages]] = connection.execute("PRAGMA page_count").fetchall()
        connection.execute(f"PRAGMA max_page_count = {pages}").fetchall()
    with pytest.raises(sqlite3.OperationalError, match="full"):
        write(database, "INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (zeroblob(100000))")
    with database.transaction() as connection:
        assert connection.execute("SELECT * FROM t").fetchall() == []
    database.close()
