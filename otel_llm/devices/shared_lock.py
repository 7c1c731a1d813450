"""A lock between processes of all users: on a file, in a directory that they share.

The lock (`flock`) goes with its process, however that ends. The file stays, with what the last
holder wrote. Any user may write there, so nothing that is found is followed or believed.
"""

import errno
import fcntl
import os
import stat
from contextlib import suppress
from pathlib import Path

_MOST_BYTES = 128
_PLAIN = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class SharedLock:
    """A lock that one process has at a time.

    Args:
        path: its file.
        text: what to write into it: who we are.

    Attributes:
        said: what the file said when it was last tried: of its holder, or of the one before us.
    """

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.said = ""
        self._text = text
        self._file: int | None = None

    @property
    def is_held(self) -> bool:
        """Whether we have it. Not if somebody removed the file: others can lock a new one."""
        if self._file is not None and not _is_at(self._file, self.path):
            self.release()
        return self._file is not None

    def take(self) -> bool:
        """Take it if nobody has it. Whether it is ours now.

        Raises:
            OSError: the file cannot be used.
        """
        if not self.is_held:
            self._file, self.said = _take(self.path, self._text)
        return self._file is not None

    def is_anothers(self) -> bool:
        """Whether another process has it now; not if that cannot be told."""
        if self.is_held:
            return False
        with suppress(OSError):
            file = _open_there(self.path, os.O_RDONLY | _PLAIN)
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            finally:
                os.close(file)
        return False

    def release(self) -> None:
        """Let go of it, if it is ours."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _take(path: Path, text: str) -> tuple[int | None, str]:
    """Lock a file.

    Returns:
        The open file that holds the lock, None if another process does; and what the file said.

    Raises:
        OSError: it cannot be used.
    """
    file = _open(path)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not _is_at(file, path):
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
        said = _said(file)
        os.ftruncate(file, 0)
        os.pwrite(file, f"{text}\n".encode(), 0)
    except BlockingIOError:
        said = _said(file)
        os.close(file)
        return None, said
    except OSError:
        os.close(file)
        raise
    return file, said


def _open(path: Path) -> int:
    """Open a lock's file, for processes of all users; make it if need be.

    It is opened before it is made: in a directory that all may write to, `fs.protected_regular`
    forbids O_CREAT on another user's file. It is opened again if another agent made it meanwhile.
    """
    try:
        file = _open_there(path, os.O_RDWR | _PLAIN)
    except FileNotFoundError:
        try:
            file = _open_there(path, os.O_RDWR | _PLAIN | os.O_CREAT | os.O_EXCL)
        except FileExistsError:
            file = _open_there(path, os.O_RDWR | _PLAIN)
    status = os.fstat(file)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:  # we shall write into it
        os.close(file)
        raise OSError(errno.EINVAL, "it is no file, or has another name too")
    _allow_all(file, 0o666)
    return file


def _allow_all(file: int, mode: int) -> None:
    """Let other users' agents in, whom the umask keeps out, or our end before we came to this."""
    status = os.fstat(file)
    if status.st_uid == os.geteuid() and stat.S_IMODE(status.st_mode) != mode:
        with suppress(PermissionError):  # a file system without modes: it can be locked even so
            os.fchmod(file, mode)


def _open_there(path: Path, flags: int) -> int:
    directory = _directory(path.parent)
    try:
        return os.open(path.name, flags, 0o600, dir_fd=directory)
    finally:
        os.close(directory)


def _directory(path: Path) -> int:
    """Open the directory, made for all users if it is not there. No link: it may lead root astray.

    Raises:
        OSError: it cannot be used.
    """
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(path, flags)
    except FileNotFoundError:
        with suppress(FileExistsError):  # another agent was faster
            path.mkdir()
        directory = os.open(path, flags)
        _allow_all(directory, 0o1777)
        return directory


def _is_at(file: int, path: Path) -> bool:
    """Whether a path still names an open file."""
    try:
        there = path.lstat()
    except OSError:
        return False
    return os.path.samestat(there, os.fstat(file))


def _said(file: int) -> str:
    return os.pread(file, _MOST_BYTES, 0).decode("ascii", "replace").strip()
