"""The bytes of a journal file, shared by writer and reader. ADR 3 says why.

    0     identity: magic, version, sizes, length and checksum of the producer
    64    counters: dropped, swallowed, clean_close
    128   state slot A: head, seq, tail, tail_seq, check
    192   state slot B
    256   producer (msgpack)
    8192  ring of frames: crc32, length, seq << 8 | kind, payload; each begins at a multiple of 8

A frame's CRC-32 is of its payload, begun with the low 32 bits of `seq << 8 | kind`, so that it
covers them.

Positions (head, tail) count bytes since the journal began and only grow; the place in the ring is
the position modulo the ring's size. `head` is where the next frame goes and `seq` the number it
will have; `tail` is where the oldest frame still whole begins, `tail_seq` its number. The writer
stores its state into the two slots in turn, so that one is whole whenever it is killed.
"""

import struct
from typing import NamedTuple
from zlib import crc32

MAGIC = b"OTLLMJNL"
VERSION = 3
HEADER_BYTES = 8192
PRODUCER_AT = 256
MAX_PRODUCER_BYTES = HEADER_BYTES - PRODUCER_AT

IDENTITY = struct.Struct("<8sIIQII")
COUNTERS = struct.Struct("<QQQ")
COUNTERS_AT = 64
DROPPED, SWALLOWED, CLEAN_CLOSE = 0, 1, 2
STATE = struct.Struct("<QQQQQ")
STATE_SLOTS = (128, 192)
TAIL = struct.Struct("<QQ")
FRAME = struct.Struct("<IIQ")
FRAME_BYTES = FRAME.size
U64 = struct.Struct("<Q")
MAX_FRAME = 4 << 20


class State(NamedTuple):
    """Where a ring stands; see the module's text for the fields."""

    head: int
    seq: int
    tail: int
    tail_seq: int


def max_frame(capacity: int) -> int:
    """Longest frame of a ring of `capacity` bytes: a few always fit, none costs a reader much."""
    return min(capacity // 4, MAX_FRAME)


def tail_check(tail: int, tail_seq: int) -> int:
    """The tail's part of a state's check. It changes seldom, so it may cost more than the head's.

    A state differs from the one before it in its slot by one or two records and perhaps the tail.
    Two records flip bit 1 of `seq`, one flips bit 0, and no step of `head` can undo either: a slot
    of which only some words were stored never has the right check for them.
    """
    return crc32(TAIL.pack(tail, tail_seq)) << 24


def best_state(header: bytes, capacity: int) -> State | None:
    """The newest whole state of a header's first 256 bytes; None if neither slot can be true."""
    states = [state for slot in STATE_SLOTS if (state := _state(header, slot, capacity))]
    return max(states, key=lambda state: (state.seq, state.tail_seq), default=None)


def _state(header: bytes, slot: int, capacity: int) -> State | None:
    head, seq, tail, tail_seq, check = STATE.unpack_from(header, slot)
    possible = (
        head ^ seq ^ tail_check(tail, tail_seq) == check
        and (head | tail) % 8 == 0
        and 0 <= head - tail <= capacity
        and 1 <= tail_seq <= seq
        and (seq - tail_seq) * FRAME_BYTES <= head - tail
        and (tail_seq - 1) * FRAME_BYTES <= tail
    )
    return State(head, seq, tail, tail_seq) if possible else None
