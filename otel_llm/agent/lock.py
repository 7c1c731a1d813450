"""One agent per directory, held by a lock that dies with its process."""

import fcntl
import os
import stat
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
            self._file = _open(directory)
        except OSError as error:
            problem = f"{directory} cannot be used ({error.strerror})"
            raise SettingError(setting, problem, "Name a directory of your own") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = _owner(directory)
            os.close(self._file)
            message = (
                f"{directory} is already served by another agent ({owner or 'pid unknown'}). "
                "Stop it, or give this one its own OTEL_LLM_JOURNAL_DIR and OTEL_LLM_STATE_DIR."
            )
            raise AgentRunningError(message) from None
        if stat.S_ISREG(os.fstat(self._file).st_mode):
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, f"pid {os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let go of the directory. The file stays: removing it would race with a successor."""
        os.close(self._file)


def _open(directory: Path) -> int:
    """The lock's file; the directory itself where we may read but not write, as its group may."""
    try:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.open(directory / LOCK_NAME, flags, 0o600)
    except PermissionError:
        return os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def _owner(directory: Path) -> str:
    try:
        return (directory / LOCK_NAME).read_text("ascii", "replace")[:64].strip()
    except OSError:
        return ""
