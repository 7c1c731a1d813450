"""What can never be stored: set aside in files, so that it holds up nothing and can be looked at.

A file is a segment, as the spool has them: put into the spool's directory under a new name, its
requests are tried again. What is no record is kept as it was found.
"""

import os
from pathlib import Path

from otel_llm import private_dir
from otel_llm.collector.spool import Entry
from otel_llm.errors import StoreError

MOST_BYTES = 256 << 20
"""Past this the oldest files go."""


class Quarantine:
    """A directory of files set aside.

    Args:
        directory: made if missing.

    Raises:
        StoreError: it is not private.
        OSError: it cannot be made.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        if (problem := private_dir.make(directory)) is not None:
            message = f"The quarantine {directory}: {problem}."
            raise StoreError(message)

    def keep_request(self, name: str, entry: Entry) -> Path:
        """Set a request aside. The same name again replaces the file.

        Raises:
            OSError: it cannot be written.
        """
        return self._keep(f"{name.replace('/', '.')}.refused", entry.head() + entry.body)

    def keep_bytes(self, name: str, data: bytes) -> Path:
        """Set bytes aside that are no record.

        Raises:
            OSError: they cannot be written.
        """
        return self._keep(f"{name.replace('/', '.')}.damaged", data)

    def _keep(self, name: str, data: bytes) -> Path:
        path = self._directory / name
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        self._shrink(path)
        return path

    def _shrink(self, newest: Path) -> None:
        files = sorted(self._directory.iterdir(), key=lambda path: path.stat().st_mtime_ns)
        total = sum(path.stat().st_size for path in files)
        for path in files:
            if total <= MOST_BYTES or path == newest:
                return
            total -= path.stat().st_size
            path.unlink()
