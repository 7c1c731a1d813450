"""What the workers of an engine tell its core about themselves, as small files beside the journals.

An engine's core opens its journal when its workers are up. Each worker, in a process of its own,
has left a note by then that names its device; the core takes the notes away and writes them into
the journal's header. The key is random and comes to the workers with the engine's own
configuration, so that no pid is compared and no note of another engine is taken.
"""

import contextlib
import os
import re
import time
from pathlib import Path

from otel_llm.journal import directory
from otel_llm.settings import Settings

MAX_DEVICE = 64
"""Longest name of a device, in bytes. NVIDIA's UUIDs have 40."""
_NAME = re.compile(r"rank-([0-9a-f]{32})-(\d{1,5})\.device")
_OLD_S = 86_400.0
"""Age at which a note is removed that no core took: its engine failed to start."""
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


def new_key() -> str:
    """A key for the workers of one engine: 32 hex digits, random."""
    return os.urandom(16).hex()


def leave(key: str, rank: int, device: str, settings: Settings) -> None:
    """Leave a note, in a worker. A later one of the same rank takes its place.

    Args:
        key: from the core, as `new_key` made it.
        rank: the worker's, in its engine.
        device: UUID of its device, in at most `MAX_DEVICE` bytes.
        settings: where; nothing is left if they are off.

    Raises:
        JournalError: the directory is not private.
        OSError: no space, no permission.
        ValueError: the key or the rank makes no name, or the device is too long.
    """
    name, blob = f"rank-{key}-{rank}.device", device.encode()
    if not _NAME.fullmatch(name) or not 0 < len(blob) <= MAX_DEVICE:
        message = f"no note can be made of rank {rank} on {device[:MAX_DEVICE]!r}"
        raise ValueError(message)
    if not settings.enabled:
        return
    handle = directory.ensure(Path(settings.journal_dir), settings)
    try:
        _sweep(handle)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=handle)
        with os.fdopen(os.open(name, _WRITE, 0o600, dir_fd=handle), "wb") as file:
            file.write(blob)
    finally:
        os.close(handle)


def collect(key: str, settings: Settings) -> dict[int, str]:
    """Take the notes of an engine's workers away, in its core.

    Returns:
        Devices by rank, in order of rank. Workers on other nodes are not among them.

    Raises:
        JournalError: the directory is not private.
        OSError: a note cannot be read.
    """
    if not settings.enabled:
        return {}
    found: dict[int, str] = {}
    handle = directory.ensure(Path(settings.journal_dir), settings)
    try:
        for match in filter(None, map(_NAME.fullmatch, _names(handle))):
            if match[1] == key:
                found[int(match[2])] = _take(match[0], handle)
    finally:
        os.close(handle)
    return {rank: found[rank] for rank in sorted(found) if found[rank]}


def _names(handle: int) -> list[str]:
    return os.listdir(handle)


def _take(name: str, handle: int) -> str:
    """A note's text; empty if it is longer than any note or was never finished."""
    with os.fdopen(os.open(name, _READ, dir_fd=handle), "rb") as file:
        blob = file.read(MAX_DEVICE + 1)
    os.unlink(name, dir_fd=handle)
    return blob.decode("ascii", "replace") if len(blob) <= MAX_DEVICE else ""


def _sweep(handle: int) -> None:
    """Remove notes that nobody took."""
    oldest = time.time() - _OLD_S
    for name in filter(_NAME.fullmatch, _names(handle)):
        with contextlib.suppress(FileNotFoundError):  # taken or swept just now
            if os.stat(name, dir_fd=handle, follow_symlinks=False).st_mtime < oldest:
                os.unlink(name, dir_fd=handle)
