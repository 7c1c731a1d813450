"""JSON traces event by event. No more than one event and one chunk are in memory.

The format is Chrome's trace event format, as an object with `traceEvents` or as a bare array.
"""

import codecs
import json
from collections.abc import Iterator
from typing import Any, BinaryIO

from otel_llm.errors import ProfileError

CHUNK = 1 << 20
"""Bytes read at once."""
MOST_EVENT = 64 << 20
"""Longest single value, in characters."""
_SPACE = " \t\r\n"


class Trace:
    """A trace as it is read.

    Args:
        stream: of the JSON text, UTF-8.

    Attributes:
        head: values of the outer object beside the events, as far as read. Numbers with a point are
            left as text, so that no digit is lost.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self.head: dict[str, Any] = {}
        self._stream = stream
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._json = json.JSONDecoder(parse_float=str, parse_constant=str, strict=False)
        self._text = ""
        self._place = 0
        self._whole = False

    def events(self) -> Iterator[Any]:
        """Every event, in order.

        Raises:
            ProfileError: it is no JSON trace, or ends in the middle.
        """
        begin = self._peek()
        if begin == "[":
            yield from self._array()
            return
        if begin != "{":
            message = "This is no JSON trace: it begins with neither an object nor a list."
            raise ProfileError(message)
        yield from self._object()

    def _object(self) -> Iterator[Any]:
        found = False
        self._place += 1
        while (sign := self._peek()) != "}":
            if sign == ",":
                self._place += 1
                continue
            key = self._value()
            if not isinstance(key, str) or self._peek() != ":":
                raise self._broken()
            self._place += 1
            if key == "traceEvents" and self._peek() == "[":
                found = True
                yield from self._array()
            else:
                self.head[key] = self._value()
        if not found:
            message = "This JSON is no trace: it has no list traceEvents."
            raise ProfileError(message)

    def _array(self) -> Iterator[Any]:
        self._place += 1
        while (sign := self._peek()) != "]":
            if sign == ",":
                self._place += 1
                continue
            yield self._value()
        self._place += 1

    def _value(self) -> Any:  # noqa: ANN401  whatever JSON holds
        self._peek()
        while True:
            try:
                value, end = self._json.raw_decode(self._text, self._place)
            except (json.JSONDecodeError, RecursionError) as error:
                if isinstance(error, RecursionError) or not self._more():
                    raise self._broken() from error
                continue
            # A number may go on in the next chunk.
            if end < len(self._text) or not self._more():
                self._place = end
                return value

    def _peek(self) -> str:
        while True:
            while self._place < len(self._text):
                sign = self._text[self._place]
                if sign not in _SPACE and sign != "\ufeff":
                    return sign
                self._place += 1
            if not self._more():
                raise self._broken()

    def _more(self) -> bool:
        """Read on; whether there was more."""
        if self._whole:
            return False
        kept = self._text[self._place :]
        if len(kept) > MOST_EVENT:
            message = f"One value of this trace is longer than {MOST_EVENT} characters."
            raise ProfileError(message)
        chunk = self._stream.read(max(CHUNK, len(kept)))
        self._whole = not chunk
        self._text = kept + self._decode(chunk, self._whole)
        self._place = 0
        return bool(chunk)

    def _broken(self) -> ProfileError:
        if self._whole and self._place >= len(self._text.rstrip()):
            return ProfileError("This trace ends in the middle: it was cut off. Copy it again.")
        what = self._text[self._place : self._place + 40]
        hint = "it may have been cut off" if self._whole else "something is missing"
        return ProfileError(f"This is no JSON trace at {what!r}: {hint}.")
