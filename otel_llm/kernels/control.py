"""The agent's hand on a shim: its control file. `shim/control.h` draws the same in C."""

import os
import re
import struct
from pathlib import Path
from typing import Literal
from zlib import crc32

import msgspec

from otel_llm.errors import JournalError
from otel_llm.journal.directory import is_locked
from otel_llm.kernels.reader import named
from otel_llm.kernels.records import COUNTERS, REASONS, STATES

Mode = Literal["dormant", "callbacks", "on"]
MODES: tuple[Mode, ...] = ("dormant", "callbacks", "on")

_NAME = re.compile(r"kernels-[0-9a-f]{32}\.control")
_MAGIC = b"OTLLMKCT\x01\0\0\0"
_ORDERS = struct.Struct("<QIIIII")
_ORDERS_AT = 64
REPORT = struct.Struct(f"<QQIIIIII{len(COUNTERS)}Q512s64sII")
_REPORT_AT = 256
_CHECK = struct.Struct("<I")


class Orders(msgspec.Struct, frozen=True):
    """What a shim is told.

    Attributes:
        seq: grows with every change.
        mode: `dormant` asks nothing of CUPTI, `callbacks` tags launches, `on` records kernels.
        raw_every: raw rows of steps whose number this divides; 0 for none, 1 for all.
        budget: most share of one core's time that the shim may take, 0 to 1.
        flush_s: how often complete records are fetched, in seconds, 0.05 to 10.
    """

    seq: int
    mode: Mode
    raw_every: int
    budget: float
    flush_s: float


class Report(msgspec.Struct, frozen=True):
    """How a shim fares.

    Attributes:
        seen_ns: when it wrote this, monotonic nanoseconds.
        seq: of the orders that hold.
        state: one of `records.STATES`.
        reason: one of `records.REASONS`.
        cupti_version: as cuptiGetVersion says it; 0 if no library was opened.
        level: 0 all that was ordered; 1 raw rows of an eighth of the steps; 2 no raw rows; 3 no
            names either; 4 stopped.
        copies: different copies of libcupti in the process; more than one is trouble.
        cost: share of one core's time that the shim took in its last second.
        counters: totals by the names of `records.COUNTERS`.
        library: path of the libcupti in use.
        ring: name of the ring's file; empty while there is none.
    """

    seen_ns: int
    seq: int
    state: str
    reason: str
    cupti_version: int
    level: int
    copies: int
    cost: float
    counters: dict[str, int]
    library: str
    ring: str


def scan(directory: Path) -> list[Path]:
    """Control files in a directory of journals, in order of name. Empty without a directory."""
    try:
        return sorted(path for path in directory.iterdir() if _NAME.fullmatch(path.name))
    except (FileNotFoundError, NotADirectoryError):
        return []


class Control:
    """One shim's control file. It trusts nothing that stands in it.

    Args:
        path: `kernels-*.control` in the journals' directory.

    Raises:
        JournalError: it cannot be opened for writing, or is no control file.
    """

    def __init__(self, path: Path) -> None:
        flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            self._handle = os.open(path, flags)
        except OSError as error:
            message = f"{path} cannot be opened: {error.strerror}"
            raise JournalError(message) from error
        self.path = path
        if os.pread(self._handle, len(_MAGIC), 0) != _MAGIC:
            self.close()
            message = f"{path} is no control file of this release's CUPTI shim"
            raise JournalError(message)

    def is_alive(self) -> bool:
        """Whether the shim's process still holds the file."""
        return is_locked(self._handle)

    def orders(self) -> Orders | None:
        """The orders that stand in the file; None if they are damaged."""
        found = os.pread(self._handle, _ORDERS.size, _ORDERS_AT)
        if len(found) < _ORDERS.size:
            return None
        seq, mode, raw_every, budget_ppm, flush_ms, _ = _ORDERS.unpack(found)
        check = os.pread(self._handle, 4, _ORDERS_AT + _ORDERS.size)
        if check != _CHECK.pack(crc32(found)) or mode >= len(MODES):
            return None
        return Orders(seq, MODES[mode], raw_every, budget_ppm / 1e6, flush_ms / 1e3)

    def order(
        self,
        *,
        mode: Mode | None = None,
        raw_every: int | None = None,
        budget: float | None = None,
        flush_s: float | None = None,
    ) -> Orders:
        """Change what is given; the shim follows within 0.1 s. Arguments as of `Orders`.

        Raises:
            JournalError: the orders in the file are damaged.
            ValueError: a value is outside of its bounds.
        """
        before = self.orders()
        if before is None:
            message = f"{self.path} has damaged orders; restart the process that it belongs to"
            raise JournalError(message)
        given = {"mode": mode, "raw_every": raw_every, "budget": budget, "flush_s": flush_s}
        changes = {name: value for name, value in given.items() if value is not None}
        after = msgspec.structs.replace(before, seq=before.seq + 1, **changes)
        _check(after)
        packed = _ORDERS.pack(
            after.seq,
            MODES.index(after.mode),
            after.raw_every,
            round(after.budget * 1e6),
            round(after.flush_s * 1e3),
            0,
        )
        os.pwrite(self._handle, packed + _CHECK.pack(crc32(packed)), _ORDERS_AT)
        return after

    def report(self) -> Report | None:
        """The shim's last report; None if there is none or it is being written."""
        found = os.pread(self._handle, REPORT.size, _REPORT_AT)
        if len(found) < REPORT.size or _CHECK.pack(crc32(found[:-4])) != found[-4:]:
            return None
        return unpack_report(found)

    def close(self) -> None:
        """Let go of the file."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


def unpack_report(found: bytes) -> Report:
    """A report from its bytes, of length `REPORT.size`; its check is not looked at."""
    seen_ns, seq, state, reason, version, level, copies, ppm, *rest = REPORT.unpack(found)
    *numbers, library, ring, _, _ = rest
    return Report(
        seen_ns,
        seq,
        named(STATES, state),
        named(REASONS, reason),
        version,
        level,
        copies,
        ppm / 1e6,
        dict(zip(COUNTERS, numbers, strict=True)),
        _text(library),
        _text(ring),
    )


def _check(orders: Orders) -> None:
    for name, value, least, most in (
        ("raw_every", orders.raw_every, 0, 1_000_000_000),
        ("budget", orders.budget, 0, 1),
        ("flush_s", orders.flush_s, 0.05, 10),
    ):
        if not least <= value <= most:
            message = f"{name} is {value}; give {least} to {most}"
            raise ValueError(message)


def _text(field: bytes) -> str:
    return field.split(b"\0")[0].decode("utf-8", "replace")
