"""The reading end: copies, checks, then decodes. It trusts nothing that stands in the file."""

import os
import stat
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Generic, TypeVar, cast
from zlib import crc32

import msgspec

from otel_llm.errors import JournalError
from otel_llm.facts import StepScheduled
from otel_llm.facts.producer import Producer
from otel_llm.journal.directory import is_locked
from otel_llm.journal.layout import (
    COUNTERS,
    COUNTERS_AT,
    FRAME,
    FRAME_BYTES,
    HEADER_BYTES,
    IDENTITY,
    MAGIC,
    MAX_PRODUCER_BYTES,
    PRODUCER_AT,
    VERSION,
    State,
    best_state,
    max_frame,
)
from otel_llm.journal.records import KINDS, Record

_frame = FRAME.unpack_from
_CHUNK = 256 << 10
_READ_BYTES = 8 << 20
_LOOK_AGAIN_S = 0.001
# msgspec's own errors, wrong UTF-8, and nesting in fields that a newer writer may have added.
_UNDECODABLE = (msgspec.MsgspecError, ValueError, RecursionError, MemoryError)
_HEX = frozenset("0123456789abcdef")


Decode = Callable[[memoryview], Record]


def _decoder(kind: type[msgspec.Struct]) -> Decode:
    decode = msgspec.msgpack.Decoder(kind).decode
    if kind is StepScheduled:
        return lambda payload: cast("StepScheduled", decode(payload)).whole()
    return cast("Decode", decode)


DECODE: Mapping[int, Decode] = {kind: _decoder(record) for kind, record in KINDS.items()}
"""For each kind of record, what decodes it."""


class Cursor(msgspec.Struct, frozen=True):
    """Where a reader goes on.

    Attributes:
        position: bytes of the journal read, since it began.
        seq: number of the next record.
    """

    position: int
    seq: int


class LostCounts(msgspec.Struct, frozen=True):
    """Records that a reader will never deliver.

    Attributes:
        overwritten: made room for newer ones before they were read.
        corrupt: damaged, or not to be found because something before them is.
        undecodable: whole, but of an unknown kind or with wrong content.
    """

    overwritten: int = 0
    corrupt: int = 0
    undecodable: int = 0


class WriterCounters(msgspec.Struct, frozen=True):
    """What the writer counts in the header.

    Attributes:
        dropped: records it could not write.
        swallowed: errors its hooks kept from their host.
        clean_close: it closed the journal on purpose.
    """

    dropped: int
    swallowed: int
    clean_close: bool


Item = TypeVar("Item")


class RingReader(Generic[Item]):
    """Reads one ring of frames. Any number may read at once, none disturbs the writer.

    It copies with `pread`, not through a mapping, so a file that somebody truncates is a short read
    and not a SIGBUS.

    Args:
        path: the file, for messages.
        handle: the open file; the reader closes it.
        capacity: bytes of the ring.
        cursor: where to begin.
    """

    def __init__(self, path: Path, handle: int, capacity: int, cursor: Cursor) -> None:
        self.path = path
        self._handle = handle
        self._capacity = capacity
        self._position = cursor.position
        self._seq = cursor.seq
        self._overwritten = self._corrupt = self._undecodable = 0
        self._header_damaged = False
        self._dead = False

    def read(self, limit: int = 10_000) -> list[Item]:
        """Read on, in order. Empty means that there is nothing new.

        Args:
            limit: most records to return. Fewer come back where records are large.
        """
        records: list[Item] = []
        stop: int | None = None
        looked_again = False
        while len(records) < limit and (stop is None or self._position < stop):
            state = self._state()
            if state is None:
                break
            self._catch_up(state)
            if self._position >= state.head:
                break
            if stop is None:
                # What is written meanwhile is for the next time: on a busy machine a reader may
                # run only when the writer has just written, and would never come to an end.
                stop = min(state.head, self._position + _READ_BYTES)
            if self._read_chunk(state, records, limit):
                looked_again = False
            elif looked_again:
                self._resynchronise()
            else:
                # A weakly ordered processor may show `head` before the frame: look again.
                looked_again = True
                time.sleep(_LOOK_AGAIN_S)
        return records

    @property
    def cursor(self) -> Cursor:
        """Where the next read starts."""
        return Cursor(self._position, self._seq)

    @property
    def lost(self) -> LostCounts:
        """What this reader could not deliver, so far."""
        return LostCounts(self._overwritten, self._corrupt, self._undecodable)

    @property
    def counters(self) -> WriterCounters:
        """The writer's own counters, read now. Zeros if the file has been cut off."""
        header = os.pread(self._handle, COUNTERS.size, COUNTERS_AT)
        if len(header) < COUNTERS.size:
            return WriterCounters(0, 0, clean_close=False)
        dropped, swallowed, clean_close = COUNTERS.unpack(header)
        return WriterCounters(dropped, swallowed, bool(clean_close))

    def is_alive(self) -> bool:
        """Whether the writer still holds its journal. Ask first, then read to the end."""
        self._dead = self._dead or not is_locked(self._handle)
        return not self._dead

    def close(self) -> None:
        """Let go of the file. The journal stays."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def _state(self) -> State | None:
        header = os.pread(self._handle, PRODUCER_AT, 0)
        state = best_state(header, self._capacity) if len(header) == PRODUCER_AT else None
        if state is None and not self._header_damaged:
            self._corrupt += 1  # how many records that hides, nobody can tell
            self._header_damaged = True
        return state

    def _catch_up(self, state: State) -> None:
        """Move to the tail if the writer went past, or to the head if the cursor is impossible."""
        position = self._position
        if position % 8 or position < 0 or position > state.head or self._seq > state.seq:
            self._corrupt += max(1, state.seq - self._seq)
            self._position, self._seq = state.head, state.seq
        elif position < state.tail:
            self._overwritten += max(0, state.tail_seq - self._seq)
            self._position, self._seq = state.tail, state.tail_seq

    def _resynchronise(self) -> None:
        state = self._state()
        if state is not None and state.tail <= self._position:
            self._corrupt += max(1, state.seq - self._seq)
            self._position, self._seq = state.head, state.seq

    def _read_chunk(self, state: State, records: list[Item], limit: int) -> bool:
        """Deliver the whole frames of one copy and move the cursor past them.

        Returns:
            False if the first frame is not whole and true, though it should be.
        """
        chunk = self._copy(min(state.head - self._position, _CHUNK))
        if len(chunk) >= FRAME_BYTES:
            length = FRAME.unpack_from(chunk)[1]
            if len(chunk) < length <= min(max_frame(self._capacity), state.head - self._position):
                chunk = self._copy(length)
        after = self._state()
        if after is None:
            return False
        if after.tail > self._position:
            return True  # overtaken while copying: `_catch_up` counts it
        return self._deliver(chunk, records, limit)

    def _deliver(self, chunk: memoryview, records: list[Item], limit: int) -> bool:
        """Check and decode frames, up to the first that is not whole and true.

        Returns:
            Whether there was one.
        """
        at, end, decode = 0, len(chunk) - FRAME_BYTES, self._decode
        while at <= end and len(records) < limit:
            check, length, word = _frame(chunk, at)
            payload = chunk[at + FRAME_BYTES : at + length]
            if word >> 8 != self._seq or len(payload) != length - FRAME_BYTES:
                break
            if crc32(payload, word & 0xFFFFFFFF) != check:
                break
            item = decode(word & 0xFF, payload)
            if item is None:
                self._undecodable += 1
            else:
                records.append(item)
            step = length + 7 & ~7
            at += step
            self._position += step
            self._seq += 1
        return at > 0

    def _decode(self, kind: int, payload: memoryview) -> Item | None:
        """What a true frame says; None if its kind is unknown or its content wrong."""
        raise NotImplementedError

    def _copy(self, length: int) -> memoryview:
        """Copy bytes of the ring from the cursor on; fewer if the file has been cut off."""
        at = self._position % self._capacity
        first = os.pread(self._handle, min(length, self._capacity - at), HEADER_BYTES + at)
        rest = b""
        if len(first) < length and at + len(first) == self._capacity:
            rest = os.pread(self._handle, length - len(first), HEADER_BYTES)
        return memoryview(first + rest)


class JournalReader(RingReader[Record]):
    """Reads one journal. Open one with `JournalReader.open`."""

    producer: Producer
    decoders: Mapping[int, Decode]

    @classmethod
    def open(
        cls,
        path: Path | str,
        cursor: Cursor | None = None,
        decoders: Mapping[int, Decode] = DECODE,
    ) -> "JournalReader":
        """Open a journal.

        Args:
            path: the file.
            cursor: where an earlier reader stopped; None is the very beginning, so that records
                overwritten before the first look count as lost.
            decoders: for each kind of record, what decodes it.

        Raises:
            JournalError: it cannot be opened, or is short, foreign, damaged or of another version.
        """
        path = Path(path)
        handle = open_ring(path)
        try:
            capacity, producer = _identify(path, handle)
        except BaseException:
            os.close(handle)
            raise
        reader = cls(path, handle, capacity, cursor or Cursor(0, 1))
        reader.producer, reader.decoders = producer, decoders
        return reader

    def _decode(self, kind: int, payload: memoryview) -> Record | None:
        decode = self.decoders.get(kind)
        try:
            return None if decode is None else decode(payload)
        except _UNDECODABLE:
            return None


def open_ring(path: Path) -> int:
    """Open a ring's file to read it: no symlink is followed, no fifo waited for.

    Raises:
        JournalError: it cannot be opened.
    """
    try:
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        message = f"{path} cannot be opened: {error.strerror}"
        raise JournalError(message) from error


def _identify(path: Path, handle: int) -> tuple[int, Producer]:
    capacity, blob = identify(path, handle, MAGIC, VERSION)
    return capacity, _producer(path, blob)


def identify(path: Path, handle: int, magic: bytes, version: int) -> tuple[int, bytes]:
    """Check the header of a ring's file.

    Args:
        path: its name, for messages.
        handle: the open file.
        magic: the eight bytes it must begin with.
        version: the version it must have.

    Returns:
        Bytes of its ring, and the producer's description; empty if that is damaged.

    Raises:
        JournalError: it is short, foreign, damaged or of another version.
    """
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode):
        message = f"{path} is not a regular file"
        raise JournalError(message)
    header = os.pread(handle, HEADER_BYTES, 0)
    if len(header) < HEADER_BYTES:
        message = f"{path} is too short for a journal: {status.st_size} bytes"
        raise JournalError(message)
    found, its_version, header_bytes, capacity, length, check = IDENTITY.unpack_from(header)
    if found != magic:
        message = f"{path} is not a journal"
        raise JournalError(message)
    if its_version != version:
        message = (
            f"{path} has journal version {its_version}; this reader knows {version}. "
            "Install the same release of otel-llm for engine and agent."
        )
        raise JournalError(message)
    if header_bytes != HEADER_BYTES or capacity % 8 or capacity < FRAME_BYTES:
        message = f"{path} has a damaged header"
        raise JournalError(message)
    if HEADER_BYTES + capacity != status.st_size:
        message = f"{path} has {status.st_size} bytes; {HEADER_BYTES + capacity} expected"
        raise JournalError(message)
    blob = header[PRODUCER_AT : PRODUCER_AT + min(length, MAX_PRODUCER_BYTES)]
    return capacity, blob if crc32(blob) == check else b""


def _producer(path: Path, blob: bytes) -> Producer:
    try:
        if blob:
            producer = msgspec.msgpack.decode(blob, type=Producer)
            if len(producer.instance_id) == 32 and _HEX.issuperset(producer.instance_id):
                return producer
    except _UNDECODABLE:
        pass
    message = f"{path} has a damaged producer description"
    raise JournalError(message)
