"""Directories that hold secrets belong to their user alone."""

import os
from pathlib import Path

import pytest

from otel_llm import private_dir
from otel_llm.agent.run import run
from otel_llm.errors import SettingError, StoreError
from otel_llm.exporters.clickhouse.engine import Engine
from otel_llm.exporters.clickhouse.engine.config import write_config
from otel_llm.settings import Settings


def test_a_new_directory_is_private(tmp_path: Path) -> None:
    """It is made with mode 0700 and found fine; so it is the second time."""
    made = tmp_path / "a" / "b"
    assert private_dir.make(made) is None
    assert made.stat().st_mode & 0o777 == 0o700
    assert private_dir.make(made) is None


@pytest.mark.parametrize("mode", [0o770, 0o777, 0o1777, 0o702])
def test_others_may_write(tmp_path: Path, mode: int) -> None:
    """A directory that group or others may write to is not private."""
    tmp_path.chmod(mode)
    assert private_dir.make(tmp_path) == f"others may write to {tmp_path}"


def test_somebody_elses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory of another user is not private, whatever its mode."""
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    assert private_dir.make(tmp_path) == f"{tmp_path} belongs to user {owner}, not to {owner + 1}"


def test_links_are_not_followed(tmp_path: Path) -> None:
    """Neither for reading nor for writing."""
    target = tmp_path / "target"
    target.write_text("kept")
    (tmp_path / "link").symlink_to(target)
    with pytest.raises(OSError, match="symbolic links"):
        private_dir.read_file(tmp_path / "link")
    with pytest.raises(OSError, match="symbolic links"):
        private_dir.write_file(tmp_path / "link", "x")
    (tmp_path / "users.xml").symlink_to(target)
    with pytest.raises(OSError, match="symbolic links"):
        write_config(tmp_path, 1 << 30)
    assert target.read_text() == "kept"


def test_the_store_refuses_a_directory_of_all(tmp_path: Path) -> None:
    """`data_dir` is refused before anything is written into it."""
    tmp_path.chmod(0o777)
    with pytest.raises(StoreError, match="data_dir: others may write"):
        Engine(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_agent_refuses_a_directory_of_all(tmp_path: Path) -> None:
    """`state_dir` is refused before a token in it is believed."""
    state = tmp_path / "state"
    state.mkdir()
    state.chmod(0o777)
    with pytest.raises(SettingError, match="state_dir: others may write"):
        run(Settings(journal_dir=str(tmp_path / "journals"), state_dir=str(state)))
    assert list(state.iterdir()) == []
