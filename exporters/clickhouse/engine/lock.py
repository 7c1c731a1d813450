"""One process per data directory, and a clear answer to the second."""

import fcntl
import json
import os
import time
from pathlib import Path

from otel_llm.errors import StoreError
from otel_llm.runfile import LOCK_NAME

_TRIES = 5
_PAUSE_S = 0.02


class DirectoryLock:
    """An advisory lock on a data directory, held until `release` or the process ends.

    Raises:
        StoreError: another process holds it; the message names the directory and its owner.
    """

    def __init__(self, directory: Path, role: str) -> None:
        self._path = directory / LOCK_NAME
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        self._file = os.open(self._path, flags, 0o600)
        try:
            _lock(self._file)
        except OSError as error:
            owner = _owner(self._file)
            os.close(self._file)
            message = (
                f"The data directory {directory} is in use by {owner}. "
                "Stop it, ask it over HTTP (--url), or choose another --data-dir."
            )
            raise StoreError(message) from error
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, json.dumps({"pid": os.getpid(), "role": role}).encode(), 0)

    def release(self) -> None:
        """Give the directory free. Further calls do nothing."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def _lock(file: int) -> None:
    """Lock it. Who asks whether somebody owns the directory holds the lock for a moment, too."""
    for _ in range(_TRIES - 1):
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # noqa: PERF203  five turns
            time.sleep(_PAUSE_S)
    return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _owner(file: int) -> str:
    try:
        owner = json.loads(os.pread(file, 4096, 0))
        return f"{owner['role']} (pid {int(owner['pid'])})"
    except (ValueError, KeyError, TypeError):
        return "another process"
