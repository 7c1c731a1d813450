"""Which run files are believed, and which token files are used."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from otel_llm import runfile
from otel_llm.errors import StoreError
from otel_llm.exporters.clickhouse.engine.lock import DirectoryLock


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[DirectoryLock]:
    """This process owns the data directory."""
    lock = DirectoryLock(tmp_path, "otel-llm up")
    yield lock
    lock.release()


def _run(data_dir: Path, pid: int) -> runfile.RunFile:
    return runfile.RunFile(pid, "http://a", "http://b", "http://c", str(data_dir / "token"))


@pytest.mark.usefixtures("owner")
@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"pid": 1}', '{"pid": "x"}', "\x00\xff", '{"pid": 1, "x": 2}']
)
def test_a_broken_run_file_is_no_run_file(tmp_path: Path, text: str) -> None:
    """Whatever is in it, a run file that cannot be read means that nothing runs."""
    runfile.path_of(tmp_path).write_text(text, encoding="utf-8")
    assert runfile.read(tmp_path) is None


@pytest.mark.usefixtures("owner")
def test_a_run_file_round_trips(tmp_path: Path) -> None:
    """What is written is what is read."""
    run = _run(tmp_path, os.getpid())
    runfile.write(tmp_path, run)
    assert runfile.read(tmp_path) == run
    assert json.loads(runfile.path_of(tmp_path).read_text())["pid"] == os.getpid()
    with pytest.raises(StoreError, match="token"):
        _ = run.token


def test_a_stale_run_file_is_not_believed(tmp_path: Path, owner: DirectoryLock) -> None:
    """A living pid proves nothing: the directory's owner must hold its lock."""
    runfile.write(tmp_path, _run(tmp_path, os.getpid()))
    owner.release()
    assert runfile.read(tmp_path) is None
    (tmp_path / runfile.LOCK_NAME).unlink()
    assert runfile.read(tmp_path) is None


@pytest.mark.usefixtures("owner")
@pytest.mark.parametrize("content", [None, "", "{}", "[]"])
def test_another_owner_is_not_the_up_of_the_file(tmp_path: Path, content: str | None) -> None:
    """A command that opened the directory after `up` was killed does not make its file true."""
    runfile.write(tmp_path, _run(tmp_path, os.getpid() if content is not None else os.getppid()))
    if content is not None:
        (tmp_path / runfile.LOCK_NAME).write_text(content)
    assert runfile.read(tmp_path) is None


@pytest.mark.usefixtures("owner")
def test_a_run_file_where_others_may_write_is_not_believed(tmp_path: Path) -> None:
    """Anybody could have put it there, and would be sent the token."""
    runfile.write(tmp_path, _run(tmp_path, os.getpid()))
    tmp_path.chmod(0o777)
    assert runfile.read(tmp_path) is None


def test_asking_does_not_keep_an_owner_out(tmp_path: Path, owner: DirectoryLock) -> None:
    """After a look at the lock it is free again."""
    runfile.write(tmp_path, _run(tmp_path, os.getpid()))
    owner.release()
    assert runfile.read(tmp_path) is None
    DirectoryLock(tmp_path, "next").release()


def test_the_token_is_made_once(tmp_path: Path) -> None:
    """The first call makes a long random token, later ones return it."""
    path, token = runfile.token(tmp_path)
    assert len(token) >= 40
    assert runfile.token(tmp_path) == (path, token)
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("exists", [True, False])
def test_a_link_is_no_token_file(tmp_path: Path, exists: bool) -> None:
    """A planted link is neither read nor written through."""
    target = tmp_path / "target"
    if exists:
        target.write_text("planted")
    (tmp_path / "token").symlink_to(target)
    with pytest.raises(StoreError, match="cannot be used"):
        runfile.token(tmp_path)
    assert target.exists() == exists
