"""A lock's file while agents start at once, and after one that was killed as it made it."""

import os
from pathlib import Path

import pytest

from otel_llm.devices.shared_lock import SharedLock


def test_two_make_the_file_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is second uses what the first has made, directory and file."""
    path = tmp_path / "shared" / "meter"
    first, second = SharedLock(path, "a"), SharedLock(path, "b")
    mkdir, open_file = Path.mkdir, os.open

    def slow_mkdir(made: Path) -> None:
        monkeypatch.undo()
        mkdir(made)
        mkdir(made)

    monkeypatch.setattr(Path, "mkdir", slow_mkdir)
    assert first.take()
    path.unlink()

    def slow_open(name: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if flags & os.O_CREAT:
            monkeypatch.undo()
            assert first.take()
        return open_file(name, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", slow_open)
    assert (second.take(), second.said) == (False, "a")


def test_a_file_that_was_not_made_ready(tmp_path: Path) -> None:
    """Its owner's next agent lets others in."""
    path = tmp_path / "meter"
    path.touch(0o600)
    assert SharedLock(path, "a").take()
    assert path.stat().st_mode & 0o777 == 0o666


def test_a_file_system_without_modes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock is as good."""

    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "fchmod", refuse)
    assert SharedLock(tmp_path / "meter", "a").take()
