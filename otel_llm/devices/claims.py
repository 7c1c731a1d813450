"""One agent of a host reads a device: it holds a lock, in a directory that all agents share.

A lock (`flock`) goes with its process, however that ends. The file stays: it says whose the claim
is, or was last, so that an agent that comes back knows whether another has metered since.
"""

import errno
import fcntl
import logging
import os
import stat
import threading
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from otel_llm.clock import Clock
from otel_llm.facts.device import Device

AGAIN_NS = 5_000_000_000
"""How often a claim that another agent has is tried again, and one of ours is looked after."""
_MOST_BYTES = 128

_log = logging.getLogger("otel_llm.agent")


class Unclaimed:
    """All devices are ours: nobody else can read what is handed over by hand."""

    @property
    def elsewhere(self) -> Sequence[Device]:
        """Devices that are not read here, because another agent has the claim."""
        return ()

    def take_over(self) -> Sequence[str]:
        """Ids of devices, since the last call, whose claim another agent had before us."""
        return ()

    def holds(self, device: Device) -> bool:  # noqa: ARG002  all of them
        """Whether what is read of a device is this agent's to tell; claims it if it can."""
        return True

    def release(self) -> None:
        """Let go of all claims, for good."""


class Claims(Unclaimed):
    """Claims devices for this process, for as long as it lives. Any thread may ask.

    Args:
        directory: what all agents of the host share (setting `device_claim_dir`).
        state_dir: this agent's. Who goes on from it goes on with its meters.
        clock: the machine's.
    """

    def __init__(self, directory: Path, state_dir: Path, clock: Clock) -> None:
        self._directory = directory
        status = state_dir.stat()
        self._whose = f"{status.st_dev}:{status.st_ino}"
        self._clock = clock
        self._lock = threading.Lock()
        self._over = False
        self._held: dict[str, int] = {}
        self._refused: dict[str, Device] = {}
        self._again_ns: dict[str, int] = {}
        self._taken_over: list[str] = []

    @property
    def elsewhere(self) -> Sequence[Device]:
        """As `Unclaimed` says."""
        with self._lock:
            return list(self._refused.values())

    def take_over(self) -> Sequence[str]:
        """As `Unclaimed` says."""
        with self._lock:
            taken, self._taken_over = self._taken_over, []
            return taken

    def holds(self, device: Device) -> bool:
        """As `Unclaimed` says. A recording is none of this machine's devices: no claim."""
        if device.source == "replay":
            return True
        with self._lock:
            now_ns = self._clock.monotonic_ns()
            if not self._over and now_ns >= self._again_ns.get(device.id, now_ns):
                self._again_ns[device.id] = now_ns + AGAIN_NS
                self._claim(device)
            return device.id in self._held

    def release(self) -> None:
        """As `Unclaimed` says."""
        with self._lock:
            self._over = True
            while self._held:
                os.close(self._held.popitem()[1])

    def _claim(self, device: Device) -> None:
        path = self._directory / f"meter-{quote(device.id, safe='')}"
        held = self._held.get(device.id)
        if held is not None:
            if _is_at(held, path):
                return
            os.close(self._held.pop(device.id))  # somebody removed the file: others can claim it
        try:
            file, before = _take(path, self._whose)
        except OSError as error:
            self._refuse(device, _UNUSABLE.format(path=path, error=error.strerror))
            return
        if file is None:
            self._refuse(device, _ELSEWHERE.format(pid=_pid(before)))
            return
        self._held[device.id] = file
        if before.partition(" ")[0] not in ("", self._whose):
            self._taken_over.append(device.id)
        if self._refused.pop(device.id, None) is not None:
            _log.warning("%s is read by this agent from now on", device.id)

    def _refuse(self, device: Device, why: str) -> None:
        if device.id not in self._refused:
            _log.warning(
                "%s %s. Until then this agent does not read it, for its energy would be charged "
                "twice; requests of its engines have none of it. It is tried again every %d s",
                device.id,
                why,
                AGAIN_NS // 1_000_000_000,
            )
        self._refused[device.id] = device


_ELSEWHERE = (
    "is read by another agent on this host ({pid}). Stop one of both, or set OTEL_LLM_DEVICES=none "
    "for it"
)
_UNUSABLE = (
    "cannot be claimed: {path} cannot be used ({error}). Let this user write there, or name a "
    "directory that all agents of the host share in OTEL_LLM_DEVICE_CLAIM_DIR"
)


def _take(path: Path, whose: str) -> tuple[int | None, str]:
    """Claim a file.

    Returns:
        The open file that holds the claim, None if another process does; and what the file said.

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
        os.pwrite(file, f"{whose} pid {os.getpid()}\n".encode(), 0)
    except BlockingIOError:
        said = _said(file)
        os.close(file)
        return None, said
    except OSError:
        os.close(file)
        raise
    return file, said


def _open(path: Path) -> int:
    """Open a claim's file, for agents of all users; make it if need be.

    It is opened before it is made: in a directory that all may write to, `fs.protected_regular`
    forbids O_CREAT on another user's file.
    """
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    directory = _directory(path.parent)
    try:
        file = os.open(path.name, flags, dir_fd=directory)
    except FileNotFoundError:
        file = os.open(path.name, flags | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=directory)
        os.fchmod(file, 0o666)  # the umask would keep other users' agents out
    finally:
        os.close(directory)
    status = os.fstat(file)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:  # we shall write into it
        os.close(file)
        raise OSError(errno.EINVAL, "it is no file, or has another name too")
    return file


def _directory(path: Path) -> int:
    """Open the directory, made for all users if it is not there. No link: it may lead root astray.

    Raises:
        OSError: it cannot be used.
    """
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(path, flags)
    except FileNotFoundError:
        path.mkdir()
        directory = os.open(path, flags)
        os.fchmod(directory, 0o1777)
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


def _pid(said: str) -> str:
    number = said.partition(" pid ")[2]
    return f"pid {number}" if number.isdecimal() else "pid unknown"
