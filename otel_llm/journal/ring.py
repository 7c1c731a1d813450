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
    STATE_SALT,
    STATE_SLOTS,
    U64,
    VERSION,
    checksum,
    max_frame,
)

_MARKS = 64
_CREATE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Ring:
    """A mapped journal file, written by this process alone. Not thread-safe: see `Journal`.

    Args:
        handle: the file, locked and fully allocated. The ring closes it.
        size: bytes of the whole file.
    """

    __slots__ = (
        "_at", "_capacity", "_counters", "_handle", "_head", "_map", "_mark_bytes", "_marks",
        "_next_mark", "_seq", "_slot", "_tail", "_tail_seq", "max_payload",
    )  # fmt: skip

    def __init__(self, handle: int, size: int, producer: bytes) -> None:
        self._handle = handle
        self._map = mmap.mmap(handle, size)
        self._capacity = size - HEADER_BYTES
        self.max_payload = max_frame(self._capacity) - FRAME_BYTES
        self._counters = [0, 0, 0]
        self._at = HEADER_BYTES
        self._head, self._seq, self._slot = 0, 1, 0
        self._tail, self._tail_seq = 0, 1
        # Beginnings of frames about 1/64 of the ring apart: the tail moves from one to the next, so
        # making room costs next to nothing and never reads back what is in shared memory.
        self._marks: deque[tuple[int, int]] = deque()
        self._mark_bytes = self._capacity // _MARKS
        self._next_mark = self._mark_bytes
        self._store_state()
        self._map[PRODUCER_AT : PRODUCER_AT + len(producer)] = producer
        identity = (VERSION, HEADER_BYTES, self._capacity, len(producer), crc32(producer))
        IDENTITY.pack_into(self._map, 0, MAGIC, *identity)

    def append(self, kind: int, payload: bytes) -> None:
        """Write one frame. Whoever is killed in here leaves the frames before it whole.

        Args:
            kind: number of the record's kind.
            payload: its encoding, of at most `max_payload` bytes.
        """
        head, seq, at = self._head, self._seq, self._at
        word = seq << 8 | kind
        length = len(payload) + FRAME_BYTES
        step = (length + 7) & ~7
        if head + step - self._tail > self._capacity:
            self._make_room(head + step - self._capacity)
        if head >= self._next_mark:
            self._marks.append((head, seq))
            self._next_mark = head + self._mark_bytes
        end = at + length
        frame = FRAME.pack(checksum(word, payload), length, word) + payload
        if end <= self._capacity + HEADER_BYTES:
            self._map[at:end] = frame
        else:
            self._wrap(at, frame)
        at += step
        self._at = at if at < self._capacity + HEADER_BYTES else at - self._capacity
        # First here, then there: an interrupt in between costs nothing, the next frame tells both.
        self._head, self._seq = head + step, seq + 1
        self._store_state()

    def _wrap(self, at: int, frame: bytes) -> None:
        """Store a frame that goes on at the ring's beginning."""
        room = self._capacity + HEADER_BYTES - at
        self._map[at : at + room] = frame[:room]
        self._map[HEADER_BYTES : HEADER_BYTES + len(frame) - room] = frame[room:]

    def _make_room(self, oldest: int) -> None:
        """Give up the frames before `oldest`, and tell the readers before they are overwritten."""
        while self._tail < oldest:
            self._tail, self._tail_seq = self._marks.popleft()
        self._store_state()

    def _store_state(self) -> None:
        head, seq, tail, tail_seq = self._head, self._seq, self._tail, self._tail_seq
        self._slot = slot = self._slot ^ 1
        check = head ^ seq ^ tail ^ tail_seq ^ STATE_SALT
        STATE.pack_into(self._map, STATE_SLOTS[slot], head, seq, tail, tail_seq, check)

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
