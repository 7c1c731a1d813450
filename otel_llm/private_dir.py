"""Directories and files that hold secrets or are trusted: their user's own, and nobody else's."""

import os
import stat
from pathlib import Path


def why_not_private(directory: Path, status: os.stat_result) -> str | None:
    """What is wrong with a directory that must be ours and for nobody else to write; None if fine.

    Args:
        directory: its path, for the text.
        status: its status.
    """
    if status.st_uid != os.geteuid():
        return f"{directory} belongs to user {status.st_uid}, not to {os.geteuid()}"
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"others may write to {directory}"
    return None


def make(directory: Path) -> str | None:
    """Make a directory for its owner alone, if it is not there, and look at it.

    Returns:
        What is wrong with it, or None.

    Raises:
        OSError: it cannot be made.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return why_not_private(directory, directory.stat())


def read_file(path: Path) -> str:
    """A file's text.

    Raises:
        OSError: it cannot be read, or is a link.
        UnicodeDecodeError: it holds no text.
    """
    file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(file, encoding="utf-8") as stream:
        return stream.read()


def write_file(path: Path, text: str) -> None:
    """Write a file that its owner alone can read.

    Raises:
        OSError: it cannot be written, or is a link.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, 0o600), "w", encoding="utf-8") as stream:
        os.fchmod(stream.fileno(), 0o600)
        stream.write(text)
