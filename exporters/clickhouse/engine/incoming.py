"""Hand bytes to an INSERT, as a file that has no name outside this process.

chDB's own way to insert bytes, `send_insert`, is not used: in 4.4.0 it reports success when writing
fails after parsing (a violated constraint, too many parts, a full disk), so rows that were
acknowledged would be missing. INSERT … FROM INFILE reports every error and is as fast.
"""

import contextlib
import os
from collections.abc import Iterator

INCOMING = "'/proc/self/fd/incoming'"
"""Stands in a statement for the file of the data."""


def from_incoming(statement: str, fmt: str) -> str:
    """Complete an INSERT that names table and columns with the clause that reads the data."""
    return f"{statement}\nFROM INFILE {INCOMING} COMPRESSION 'none' FORMAT {fmt}"


@contextlib.contextmanager
def incoming(data: bytes) -> Iterator[str]:
    """Keep `data` in a file in memory for the length of the block.

    Yields:
        The file's path as a literal, to put in the place of `INCOMING`.
    """
    file = os.memfd_create("otel-llm-insert", os.MFD_CLOEXEC)
    try:
        with os.fdopen(os.dup(file), "wb") as stream:
            stream.write(data)
        yield f"'/proc/self/fd/{file}'"
    finally:
        os.close(file)
