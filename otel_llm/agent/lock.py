"""One agent per directory, held by a lock that dies with its process."""

import fcntl
import os
from pathlib import Path

from otel_llm.errors import AgentRunningError

LOCK_NAME = "agent.lock"


class AgentLock:
    """Holds a directory for this process.

    Args:
        directory: journal or state directory; made, for its owner alone, if it is not there.

    Raises:
        AgentRunningError: another process holds it.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        self._file = os.open(directory / LOCK_NAME, flags, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(self._file, 64, 0).decode("ascii", "replace").strip()
            os.close(self._file)
            message = (
                f"{directory} is already served by another agent ({owner or 'pid unknown'}). "
                "Stop it, or give this one its own OTEL_LLM_JOURNAL_DIR and OTEL_LLM_STATE_DIR."
            )
            raise AgentRunningError(message) from None
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"pid {os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let go of the directory. The file stays: removing it would race with a successor."""
        os.close(self._file)
