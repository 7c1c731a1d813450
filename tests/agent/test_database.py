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


def _set_aside(directory: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A database opened now is empty and whole, and the old one is kept beside it."""
    database = Database(directory)
    with database.transaction() as connection:
        assert connection.execute("SELECT * FROM journals").fetchall() == []
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    database.close()
    assert (directory / "agent.damaged").exists()
    assert "is damaged" in caplog.text
    mode = stat.S_IMODE((directory / FILE_NAME).stat().st_mode)
    assert mode == 0o600


def test_of_another_release(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A file of another version is put aside, since its tables may mean something else."""
    Database(tmp_path).close()
    with sqlite3.connect(tmp_path / FILE_NAME) as connection:
        connection.execute("PRAGMA user_version = 7")
    connection.close()
    _set_aside(tmp_path, caplog)
    assert "it has version 7; this release knows 2" in caplog.text


def test_damage_beyond_the_first_page(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is found at the start, not when a statement stumbles over it."""
    database = Database(tmp_path)
    with database.transaction() as connection:
        for number in range(200):
            connection.execute(
                "INSERT INTO journals VALUES (?, 1, 1, ?)", (f"{number}", b"x" * 500)
            )
    database.close()
    file = tmp_path / FILE_NAME
    with file.open("r+b") as stream:
        stream.seek(4096)
        stream.write(b"\xff" * (file.stat().st_size - 4096))
    _set_aside(tmp_path, caplog)


def test_nothing_stays_of_an_earlier_damaged_file(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What was kept of an earlier damaged file is not taken for a part of this one."""
    (tmp_path / FILE_NAME).write_bytes(b"this is no database " * 100)
    (tmp_path / "agent.damaged-shm").write_bytes(b"older still")
    _set_aside(tmp_path, caplog)
    assert not (tmp_path / "agent.damaged-shm").exists()
