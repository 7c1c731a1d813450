"""What can never be stored: set aside in files, so that it holds up nothing and can be looked at.

A refused request's file has the name of the block that was refused in its first line, then the
request as the spool has it. What is no record is kept as it was found.
"""

import os
import re
from pathlib import Path

from otel_llm import private_dir
from otel_llm.collector.decoder import COLUMNS
from otel_llm.collector.drain.batch import Batch
from otel_llm.collector.spool import read_segment
from otel_llm.errors import StoreError

MOST_BYTES = 256 << 20
"""Past this the oldest files go."""

ALL_TABLES = "undecoded"
"""In a block's name: the decoder refused it, so no table has any of it."""

_BLOCK = re.compile(rf"([^/]+)/[a-z]+/([0-9]+)-\2/({'|'.join((ALL_TABLES, *COLUMNS))})")


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

    def keep_request(self, batch: Batch, table: str) -> Path:
        """Set a batch of one request aside. The same again replaces the file.

        Args:
            batch: the request.
            table: the one that does not have its rows; `ALL_TABLES` if none has.

        Raises:
            OSError: it cannot be written.
        """
        name = f"{batch.name}/{table}"
        [entry] = batch.entries
        data = name.encode() + b"\n" + entry.head() + entry.body
        return self._keep(f"{name.replace('/', '.')}.refused", data)

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


def read_request(path: Path) -> tuple[Batch, str]:
    """A request that was set aside, and the table that does not have its rows, or `ALL_TABLES`.

    Raises:
        StoreError: the file is none of a refused request, or damaged.
        OSError: it cannot be read.
    """
    line, _, record = path.read_bytes().partition(b"\n")
    block = _BLOCK.fullmatch(line.decode("ascii", "replace"))
    entries = read_segment(record).entries
    if block is None or len(entries) != 1 or entries[0].size != len(record):
        message = f"{path} holds no request that was refused."
        raise StoreError(message)
    return Batch(block[1], entries[0].signal, int(block[2]), entries), block[3]
