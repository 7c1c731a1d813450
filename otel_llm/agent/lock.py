"""One agent per directory, held by a lock that dies with its process.

The lock is on the directory itself, which every agent that can read journals can open: agents of
two users, of whom one may not write there, exclude each other. `agent.lock` only names the owner.
"""

import errno
import fcntl
import os
import stat
from contextlib import suppress
from pathlib import Path

from otel_llm.errors import AgentRunningError, SettingError

LOCK_NAME = "agent.lock"


class AgentLock:
    """Holds a directory for this process.

    Args:
        directory: journal or state directory; made, for its owner alone, if it is not there.
        setting: the setting that names it.

    Raises:
        AgentRunningError: another process holds it.
        SettingError: it cannot be used.
    """

    def __init__(self, directory: Path, setting: str) -> None:
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            problem = f"{directory} cannot be used ({error.strerror})"
            raise SettingError(setting, problem, "Name a directory of your own") from error
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = _owner(directory)
            os.close(self._handle)
            message = (
                f"{directory} is already served by another agent ({owner or 'pid unknown'}). "
                "Stop it, or give this one its own OTEL_LLM_JOURNAL_DIR and OTEL_LLM_STATE_DIR, "
                "and OTEL_LLM_DEVICES=none: one agent of a host reads a device."
            )
            raise AgentRunningError(message) from None
        try:
            self._owner_file = _tell_owner(directory)
        except OSError as error:
            os.close(self._handle)
            problem = f"{directory / LOCK_NAME} cannot be used ({error.strerror})"
            raise SettingError(setting, problem, "Remove it, or name another directory") from error

    def release(self) -> None:
        """Let go of the directory. The file that names the owner stays."""
        if self._owner_file is not None:
            os.close(self._owner_file)
        os.close(self._handle)


def _tell_owner(directory: Path) -> int | None:
    """Write who we are, and hold the file for those who only ask whether an agent runs.

    Not where we may only read, or another user's agent wrote before us.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        file = os.open(directory / LOCK_NAME, flags, 0o600)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            return None
        raise
    with suppress(BlockingIOError):  # somebody asks just now
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    if stat.S_ISREG(os.fstat(file).st_mode):
        os.ftruncate(file, 0)
        os.pwrite(file, f"pid {os.getpid()}\n".encode(), 0)
    return file


def _owner(directory: Path) -> str:
    try:
        return (directory / LOCK_NAME).read_text("ascii", "replace")[:64].strip()
    except OSError:
        return ""
