"""One agent per directory."""

import errno
import os
from pathlib import Path

import pytest

from otel_llm.agent.lock import AgentLock
from otel_llm.errors import AgentRunningError, SettingError


def test_the_second_is_refused(tmp_path: Path) -> None:
    """The error names the directory, the owner and the remedy."""
    first = AgentLock(tmp_path, "state_dir")
    with pytest.raises(AgentRunningError) as caught:
        AgentLock(tmp_path, "state_dir")
    assert str(caught.value) == (
        f"{tmp_path} is already served by another agent (pid {os.getpid()}). "
        "Stop it, or give this one its own OTEL_LLM_JOURNAL_DIR and OTEL_LLM_STATE_DIR, and "
        "OTEL_LLM_DEVICES=none: one agent of a host reads a device."
    )
    first.release()
    AgentLock(tmp_path, "state_dir").release()


def test_what_a_dead_owner_wrote_does_not_matter(tmp_path: Path) -> None:
    """The lock is the lock, not the text in the file."""
    (tmp_path / "agent.lock").write_text("pid 1 and much longer text that nobody wrote\n")
    AgentLock(tmp_path, "state_dir").release()
    assert (tmp_path / "agent.lock").read_text() == f"pid {os.getpid()}\n"


def test_no_link_is_followed(tmp_path: Path) -> None:
    """A link in place of the lock could point at anybody's file."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "agent.lock").symlink_to(victim)
    with pytest.raises(SettingError, match=r"state_dir: .* cannot be used .*symbolic"):
        AgentLock(tmp_path, "state_dir")
    assert victim.read_text() == "precious"


def test_a_directory_that_may_only_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An agent of the engine's group cannot write there: it locks the directory itself."""
    really_open = os.open

    def only_read(path: Path, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_CREAT:
            raise PermissionError(errno.EACCES, "Permission denied")
        return really_open(path, flags, mode)

    monkeypatch.setattr(os, "open", only_read)
    first = AgentLock(tmp_path, "journal_dir")
    with pytest.raises(AgentRunningError, match="pid unknown"):
        AgentLock(tmp_path, "journal_dir")
    assert list(tmp_path.iterdir()) == []
    first.release()
    AgentLock(tmp_path, "journal_dir").release()


def test_agents_of_two_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One may write the file and the other may not, and still only one serves the directory."""
    really_open = os.open

    def only_read(path: Path, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_CREAT:
            raise PermissionError(errno.EACCES, "Permission denied")
        return really_open(path, flags, mode)

    owner = AgentLock(tmp_path, "journal_dir")
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", only_read)
        with pytest.raises(AgentRunningError, match=f"pid {os.getpid()}"):
            AgentLock(tmp_path, "journal_dir")
        owner.release()
        group = AgentLock(tmp_path, "journal_dir")
    with pytest.raises(AgentRunningError):
        AgentLock(tmp_path, "journal_dir")
    group.release()


def test_removing_the_file_frees_nothing(tmp_path: Path) -> None:
    """Who removes the file that names the owner does not let a second agent in."""
    owner = AgentLock(tmp_path, "journal_dir")
    (tmp_path / "agent.lock").unlink()
    with pytest.raises(AgentRunningError, match="pid unknown"):
        AgentLock(tmp_path, "journal_dir")
    owner.release()
