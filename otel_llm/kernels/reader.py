"""The reading end of a kernel ring: whole frames out of a file that it does not trust."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from otel_llm.errors import JournalError
from otel_llm.journal.reader import Cursor, RingReader, identify, open_ring
from otel_llm.kernels.records import (
    AGGREGATE_BYTES,
    AGGREGATE_FIELDS,
    ANCHOR,
    COUNTERS,
    COUNTERS_KIND,
    IDENTITY,
    MAGIC,
    NAMES,
    RAW,
    RAW_BYTES,
    RAW_FIELDS,
    REASONS,
    STATE,
    STATES,
    STEPS,
    VERSION,
)

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_ROW_BYTES = {RAW: RAW_BYTES, STEPS: AGGREGATE_BYTES}
_FIXED = {ANCHOR: 32, STATE: 16}
_MOST_NAMES = 8192
_NAME_BYTES = 1024
_HEX = frozenset("0123456789abcdef")


class Frame(NamedTuple):
    """One frame of a kernel ring.

    Attributes:
        kind: RAW, STEPS, NAMES, ANCHOR, COUNTERS_KIND, STATE or IDENTITY.
        payload: its bytes, of a length that fits its kind; a copy, so the writer cannot change it.
        at: where it stands in the ring.
    """

    kind: int
    payload: memoryview
    at: Cursor


class KernelProducer(msgspec.Struct, frozen=True):
    """Who writes a kernel ring.

    Attributes:
        instance_id: 32 hex digits, random per start of the shim.
        boot_id: the kernel's boot id; monotonic stamps compare only within one boot.
        time_namespace: inode of the writer's time namespace; likewise.
        host: host name.
        library: path of the libcupti in use when the ring was made.
        cupti_version: its version, as cuptiGetVersion says it (130500 for 13.5).
    """

    instance_id: str
    boot_id: str
    time_namespace: int
    host: str
    library: str
    cupti_version: int


class KernelReader(RingReader[Frame]):
    """Reads one kernel ring. Open one with `KernelReader.open`.

    `names` grows as frames are read: id to kernel name, for the rows read so far.
    """

    producer: KernelProducer
    names: dict[int, str]

    @classmethod
    def open(cls, path: Path | str, cursor: Cursor | None = None) -> "KernelReader":
        """Open a kernel ring.

        Args:
            path: the file, `kernels-*.ring` in the journals' directory.
            cursor: where an earlier reader stopped; None is the very beginning.

        Raises:
            JournalError: it cannot be opened, or is short, foreign, damaged or of another version.
        """
        path = Path(path)
        handle = open_ring(path)
        try:
            capacity, blob = identify(path, handle, MAGIC, VERSION)
            producer = _producer(path, blob)
        except BaseException:
            os.close(handle)
            raise
        reader = cls(path, handle, capacity, cursor or Cursor(0, 1))
        reader.producer = producer
        reader.names = {0: ""}
        return reader

    def _decode(self, kind: int, payload: memoryview) -> Frame | None:
        return Frame(kind, payload, self.cursor) if self._fits(kind, payload) else None

    def again(self, at: Cursor) -> Frame | None:
        """A frame that was read before; None if the ring holds it no longer.

        This reader stays where it is.
        """
        other = KernelReader(self.path, self._handle, self._capacity, at)
        other.names = {}
        found = other.read(1)
        return found[0] if found and found[0].at == at else None

    def _fits(self, kind: int, payload: memoryview) -> bool:
        length = len(payload)
        row = _ROW_BYTES.get(kind)
        if row:
            return length % row == 0
        if kind == NAMES:
            return self._learn(payload)
        return (
            length == _FIXED.get(kind)
            or (kind == COUNTERS_KIND and length == 8 * len(COUNTERS))
            or kind == IDENTITY
        )

    def _learn(self, payload: memoryview) -> bool:
        """Take in a frame of names. False if it is no such frame; what came before stays."""
        at = 0
        while at + 8 <= len(payload):
            number = int.from_bytes(payload[at : at + 4], "little")
            length = int.from_bytes(payload[at + 4 : at + 8], "little")
            text = payload[at + 8 : at + 8 + length]
            if len(text) != length or not 0 < number <= _MOST_NAMES:
                return False
            self.names[number] = bytes(text[:_NAME_BYTES]).decode("utf-8", "replace")
            at += 8 + length + 7 & ~7
        return at == len(payload)


def rows(frame: Frame) -> "npt.NDArray[np.void]":
    """The rows of a RAW or STEPS frame as a structured array, without a copy.

    Returns:
        Shape (rows,), with the fields of `RAW_FIELDS` or `AGGREGATE_FIELDS`.

    Raises:
        ValueError: the frame is of another kind.
    """
    import numpy as np  # the engine's side of this package has no numpy

    if frame.kind not in _ROW_BYTES:
        message = f"a frame of kind {frame.kind} has no rows"
        raise ValueError(message)
    fields: Any = RAW_FIELDS if frame.kind == RAW else AGGREGATE_FIELDS
    return np.frombuffer(frame.payload, dtype=np.dtype(fields))


def counters(frame: Frame) -> dict[str, int]:
    """The totals of a COUNTERS frame, by name."""
    return dict(zip(COUNTERS, frame.payload.cast("Q"), strict=True))


def state(frame: Frame) -> tuple[int, str, str]:
    """When a STATE frame was written (monotonic nanoseconds), the state and the reason."""
    state_number, reason_number = frame.payload[8:].cast("I")
    return (
        int.from_bytes(frame.payload[:8], "little"),
        named(STATES, state_number),
        named(REASONS, reason_number),
    )


def named(names: tuple[str, ...], number: int) -> str:
    """A number's name; one that a newer shim may have added is `unknown`."""
    return names[number] if number < len(names) else "unknown"


def _producer(path: Path, blob: bytes) -> KernelProducer:
    try:
        producer = msgspec.json.decode(blob, type=KernelProducer)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        producer = None
    if producer and len(producer.instance_id) == 32 and _HEX.issuperset(producer.instance_id):
        return producer
    message = f"{path} has a damaged producer description"
    raise JournalError(message)
