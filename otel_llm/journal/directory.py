"""The directory of journals: made private by writers, listed by readers."""

import contextlib
import fcntl
import os
import re
import time
from pathlib import Path

from otel_llm.errors import JournalError
from otel_llm.facts.producer import ProducerKind
from otel_llm.private_dir import why_not_private
from otel_llm.settings import Settings

_NAME = r"(?:engine|frontend|gateway|worker)-[0-9a-f]{32}\.journal"
_TEMPORARY = rf"\.{_NAME}\.tmp"
_STALE_S = 60.0
_DEAD_JOURNALS = 4


def journal_name(kind: str, instance_id: str) -> str:
    """Name of a journal's file."""
    return f"{kind}-{instance_id}.journal"


def temporary_name(kind: str, instance_id: str) -> str:
    """Name of a journal's file while it is being made; readers do not see it."""
    return f".{journal_name(kind, instance_id)}.tmp"


def ensure(directory: Path, settings: Settings) -> int:
    """Make the directory if need be, check that it is private, and open it.

    Returns:
        A file descriptor of the directory; the caller closes it.

    Raises:
        JournalError: it is a symlink, no directory, somebody else's, or others may write to it.
    """
    mode = 0o750 if settings.journal_group_readable else 0o700
    try:
        if not os.path.lexists(directory):
            _make(directory, mode)
        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        message = (
            f"journal_dir: {directory} cannot be used ({error.strerror}). "
            "Set OTEL_LLM_JOURNAL_DIR to a directory of your own that is no symlink."
        )
        raise JournalError(message) from error
    try:
        _check_private(directory, os.fstat(handle))
        _sweep(handle)
        _bound_dead(handle, _DEAD_JOURNALS * settings.journal_bytes)
    except BaseException:
        os.close(handle)
        raise
    return handle


def scan(directory: Path, kind: ProducerKind | None = None) -> list[Path]:
    """The journals in a directory, in order of name. Empty if there is no such directory.

    Args:
        directory: where to look.
        kind: whose journals; None for all.
    """
    begins = "" if kind is None else f"{kind}-"
    try:
        return sorted(
            path
            for path in directory.iterdir()
            if path.name.startswith(begins) and re.fullmatch(_NAME, path.name)
        )
    except (FileNotFoundError, NotADirectoryError):
        return []


def is_locked(handle: int) -> bool:
    """Whether a writer holds the lock of this open file."""
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(handle, fcntl.LOCK_UN)
    return False


def _make(directory: Path, mode: int) -> None:
    directory.parent.mkdir(parents=True, exist_ok=True)
    try:
        directory.mkdir(mode=0o700)
    except FileExistsError:  # an engine and a gateway may start at once
        return
    directory.chmod(mode)  # whatever the umask took away


def _check_private(directory: Path, status: os.stat_result) -> None:
    problem = why_not_private(directory, status)
    if problem is not None:
        message = (
            f"journal_dir: {problem}. "
            f"Set OTEL_LLM_JOURNAL_DIR to one of your own, for example {directory}/otel-llm."
        )
        raise JournalError(message)


def _sweep(handle: int) -> None:
    """Remove what a writer left that was killed while it made its journal."""
    oldest = time.time() - _STALE_S
    for name in os.listdir(handle):
        if not re.fullmatch(_TEMPORARY, name):
            continue
        try:
            file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=handle)
        except OSError:  # swept by another writer just now
            continue
        try:
            if os.fstat(file).st_mtime < oldest and not is_locked(file):
                os.unlink(name, dir_fd=handle)
        except FileNotFoundError:
            continue
        finally:
            os.close(file)


def _bound_dead(handle: int, most_bytes: int) -> None:
    """Remove the oldest dead journals past a total, unless an agent runs, which does so itself.

    Without one nobody would: every start of an engine would leave a journal on tmpfs.
    """
    dead = _dead_journals(handle)
    total = sum(status.st_size for _, status in dead)
    if total <= most_bytes or is_locked(handle):  # an agent locks the directory
        return
    for name, status in dead:
        if total <= most_bytes:
            return
        with contextlib.suppress(FileNotFoundError):  # removed by another writer just now
            os.unlink(name, dir_fd=handle)
        total -= status.st_size


def _dead_journals(handle: int) -> list[tuple[str, os.stat_result]]:
    """Our user's journals that no writer holds, the oldest first."""
    found = []
    for name in filter(re.compile(_NAME).fullmatch, os.listdir(handle)):
        try:
            file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=handle)
        except OSError:  # removed just now, or somebody else's
            continue
        try:
            status = os.fstat(file)
            if status.st_uid == os.geteuid() and not is_locked(file):
                found.append((name, status))
        finally:
            os.close(file)
    return sorted(found, key=lambda each: each[1].st_mtime_ns)
