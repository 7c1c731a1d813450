"""The ring in its file: one writer puts frames in, the oldest make room for the newest."""

import fcntl
import mmap
import os
from collections import deque
from zlib import crc32

import msgspec

from otel_llm.errors import JournalError
from otel_llm.facts.producer import Producer
from otel_llm.journal import directory
from otel_llm.journal.layout import (
    CLEAN_CLOSE,
    COUNTERS_AT,
    FRAME,
    FRAME_BYTES,
    HEADER_BYTES,
    IDENTITY,
    MAGIC,
    MAX_PRODUCER_BYTES,
    PRODUCER_AT,
    STATE,
    STATE_SLOTS,
    U64,
    VERSION,
    max_frame,
    tail_check,
)

_MARKS = 64
_BOTH_SLOTS = sum(STATE_SLOTS)
_pack_frame = FRAME.pack
_pack_state = STATE.pack_into
_CREATE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Ring:
    """A mapped journal file, written by this process alone. Not thread-safe: see `Journal`.

    Args:
        handle: the file, locked and fully allocated. The ring closes it.
        size: bytes of the whole file.
    """

    __slots__ = (
        "_at", "_capacity", "_counters", "_end", "_handle", "_head", "_limit", "_map",
        "_mark_bytes", "_marks", "_max_frame", "_next_mark", "_seq", "_slot", "_tail",
        "_tail_check", "_tail_seq",
    )  # fmt: skip

    def __init__(self, handle: int, size: int, producer: bytes) -> None:
        self._handle = handle
        # Every page is there from the start: a step that reaches a new one does not wait for it.
        self._map = mmap.mmap(handle, size, mmap.MAP_SHARED | mmap.MAP_POPULATE)
        self._capacity = size - HEADER_BYTES
        self._end = size
        self._max_frame = max_frame(self._capacity)
        self._counters = [0, 0, 0]
        self._at = HEADER_BYTES
        self._head, self._seq, self._slot = 0, 1, STATE_SLOTS[0]
        # Beginnings of frames about 1/64 of the ring apart: the tail moves from one to the next, so
        # making room costs next to nothing and never reads back what is in shared memory.
        self._marks: deque[tuple[int, int]] = deque()
        self._mark_bytes = self._capacity // _MARKS
        self._next_mark = self._mark_bytes
        self._move_tail(0, 1)
        self._map[PRODUCER_AT : PRODUCER_AT + len(producer)] = producer
        identity = (VERSION, HEADER_BYTES, self._capacity, len(producer), crc32(producer))
        IDENTITY.pack_into(self._map, 0, MAGIC, *identity)

    def append(self, kind: int, payload: bytes) -> None:
        """Write one frame. Whoever is killed in here leaves the frames before it whole.

        Args:
            kind: number of the record's kind.
            payload: its encoding.

        Raises:
            ValueError: the payload is too long for this ring.
        """
        head, seq, at = self._head, self._seq, self._at
        word = seq << 8 | kind
        length = len(payload) + FRAME_BYTES
        if length > self._max_frame:
            message = f"a record of {length} bytes is longer than {self._max_frame}"
            raise ValueError(message)
        step = length + 7 & ~7
        following = head + step
        if following > self._limit:
            self._make_room(following)
        if head >= self._next_mark:
            self._marks.append((head, seq))
            self._next_mark = head + self._mark_bytes
        frame = _pack_frame(crc32(payload, word & 0xFFFFFFFF), length, word) + payload
        end = at + length
        if end <= self._end:
            self._map[at:end] = frame
        else:
            self._wrap(at, frame)
        at += step
        self._at = at if at < self._end else at - self._capacity
        # First here, then there: an interrupt in between costs nothing, the next frame tells both.
        self._head = following
        self._seq = seq = seq + 1
        self._slot = slot = _BOTH_SLOTS - self._slot
        _pack_state(
            self._map, slot,
            following, seq, self._tail, self._tail_seq, following ^ seq ^ self._tail_check,
        )  # fmt: skip

    def _wrap(self, at: int, frame: bytes) -> None:
        """Store a frame that goes on at the ring's beginning."""
        room = self._end - at
        self._map[at : at + room] = frame[:room]
        self._map[HEADER_BYTES : HEADER_BYTES + len(frame) - room] = frame[room:]

    def _make_room(self, head: int) -> None:
        """Give up the oldest frames, so that the ring may reach to `head`.

        Readers are told before anything is overwritten.
        """
        while head > self._limit:
            self._move_tail(*self._marks.popleft())

    def _move_tail(self, tail: int, tail_seq: int) -> None:
        head, seq = self._head, self._seq
        self._slot = slot = _BOTH_SLOTS - self._slot
        self._tail_check = tail_check(tail, tail_seq)
        check = head ^ seq ^ self._tail_check
        _pack_state(self._map, slot, head, seq, tail, tail_seq, check)
        self._tail, self._tail_seq, self._limit = tail, tail_seq, tail + self._capacity

    def count(self, counter: int) -> None:
        """Add one to a counter of the header: DROPPED, SWALLOWED or CLEAN_CLOSE."""
        self._counters[counter] += 1
        U64.pack_into(self._map, COUNTERS_AT + 8 * counter, self._counters[counter])

    def close(self) -> None:
        """Mark the journal as closed on purpose and let go of it."""
        self.count(CLEAN_CLOSE)
        self.abandon()

    def abandon(self) -> None:
        """Let go of the file without a mark. In a forked child the parent's lock stays held."""
        self._map.close()
        os.close(self._handle)


def create(directory_handle: int, producer: Producer, size: int, *, mode: int) -> Ring:
    """Make a journal: allocated and locked under a temporary name, then renamed into place.

    Args:
        directory_handle: the open directory of journals.
        producer: who will write; its `kind` and `instance_id` name the file.
        size: bytes of the whole file, a multiple of 4096.
        mode: permissions of the file.

    Raises:
        JournalError: the producer's description is too long.
        OSError: no space, no permission.
    """
    blob = msgspec.msgpack.encode(producer)
    if len(blob) > MAX_PRODUCER_BYTES:
        message = f"the producer's description has {len(blob)} bytes; {MAX_PRODUCER_BYTES} fit"
        raise JournalError(message)
    temporary = directory.temporary_name(producer.kind, producer.instance_id)
    name = directory.journal_name(producer.kind, producer.instance_id)
    handle = os.open(temporary, _CREATE, mode, dir_fd=directory_handle)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.fchmod(handle, mode)  # whatever the umask took away
        os.posix_fallocate(handle, 0, size)
        ring = Ring(handle, size, blob)
        os.rename(temporary, name, src_dir_fd=directory_handle, dst_dir_fd=directory_handle)
    except BaseException:
        os.unlink(temporary, dir_fd=directory_handle)
        os.close(handle)
        raise
    return ring
