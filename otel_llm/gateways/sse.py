"""Server-sent events, cut out of bytes that arrive in any pieces.

Source: WHATWG HTML, section 9.2.6 "Interpreting an event stream".
"""

from collections.abc import Iterator

MAX_EVENT_BYTES = 1 << 20
"""Longest event that is read. A longer one is skipped and counted."""


class EventSplitter:
    """Turns the pieces of an event stream into the data of its events.

    Attributes:
        skipped: events longer than `MAX_EVENT_BYTES`.
    """

    def __init__(self) -> None:
        self.skipped = 0
        self._line: list[bytes] = []
        self._data: list[bytes] = []
        self._size = 0
        self._skipping = False
        self._after_cr = False

    def feed(self, piece: bytes) -> list[bytes]:
        """Take the next piece; return the data of every event that it completes."""
        if not self._line and not self._data and _is_one_event(piece) and not self._skipping:
            self._after_cr = False
            return [piece[6:-2]]
        if self._after_cr and piece[:1] == b"\n":
            self._after_cr = False
            piece = piece[1:]
        if not piece:
            return []
        events = []
        for line in self._lines(piece):
            if line:
                self._field(line)
            else:
                events += self._end_of_event()
        return events

    def _lines(self, piece: bytes) -> Iterator[bytes]:
        """Complete lines without their ends; then what is left waits for the next piece."""
        if b"\n" not in piece and b"\r" not in piece:
            self._wait(piece)
            return
        waiting = b"".join(self._line)
        self._line.clear()
        self._size -= len(waiting)
        lines = (waiting + piece).splitlines(keepends=True)
        rest = b"" if lines[-1].endswith((b"\r", b"\n")) else lines.pop()
        for line in lines:
            yield line.rstrip(b"\r\n")
        self._after_cr = lines[-1].endswith(b"\r")
        if rest:
            self._wait(rest)

    def _wait(self, piece: bytes) -> None:
        self._after_cr = False
        self._line.append(piece)
        if not self._fits(piece):
            # One byte stands for the line, so that its end is not taken for an empty line.
            self._line = [b"."]

    def _field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        if name == b"data" and self._fits(line):
            self._data.append(value.removeprefix(b" "))

    def _fits(self, piece: bytes) -> bool:
        self._size += len(piece)
        if self._size > MAX_EVENT_BYTES:
            self._skipping = True
            self._data.clear()
        return not self._skipping

    def _end_of_event(self) -> list[bytes]:
        data, self._data, self._size = self._data, [], 0
        if self._skipping:
            self._skipping = False
            self.skipped += 1
            return []
        return [b"\n".join(data)] if data else []


def _is_one_event(piece: bytes) -> bool:
    """Whether a piece is what engines send most: one event of one line."""
    return (
        piece.startswith(b"data: ")
        and piece.find(b"\n") == len(piece) - 2
        and piece.endswith(b"\n\n")
        and b"\r" not in piece
        and len(piece) <= MAX_EVENT_BYTES
    )
