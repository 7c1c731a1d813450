"""How much memory a trace request takes once decoded, counted before it is decoded.

An empty span is two bytes on the wire and about 170 in memory: a body of 64 MiB would take 5 GiB.
"""

from collections.abc import Mapping
from typing import NamedTuple

# Below this the decoded request cannot matter (90 MiB), and the count would cost time.
_SMALL_BYTES = 1 << 20
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5


class _Kind(NamedTuple):
    """A message type: its bytes in memory, and its fields that are messages themselves."""

    size: int
    fields: Mapping[int, str]


# Fields of opentelemetry/proto/{collector/trace,trace,resource,common}/v1. The sizes are what the
# process grew by for a million empty ones, rounded up.
_KINDS = {
    "request": _Kind(64, {1: "resource_spans"}),
    "resource_spans": _Kind(96, {1: "resource", 2: "scope_spans"}),
    "resource": _Kind(96, {1: "pair"}),
    "scope_spans": _Kind(96, {1: "scope", 2: "span"}),
    "scope": _Kind(96, {3: "pair"}),
    "span": _Kind(192, {9: "pair", 11: "event", 13: "link", 15: "status"}),
    "event": _Kind(96, {3: "pair"}),
    "link": _Kind(128, {4: "pair"}),
    "status": _Kind(48, {}),
    "pair": _Kind(64, {2: "value"}),
    "value": _Kind(48, {5: "array", 6: "pairs"}),
    "array": _Kind(48, {1: "value"}),
    "pairs": _Kind(48, {1: "pair"}),
}


def decoded_over(body: bytes, limit: int) -> bool:
    """Whether the messages of a request take more than `limit` bytes when decoded.

    A body that is no protobuf is counted as far as it can be read; the decoder refuses it.

    Args:
        body: a serialized ExportTraceServiceRequest.
        limit: bytes.
    """
    if len(body) <= _SMALL_BYTES:
        return False
    total = _KINDS["request"].size
    waiting = [(0, len(body), "request")]
    try:
        while waiting:
            at, end, name = waiting.pop()
            fields = _KINDS[name].fields
            while at < end:
                tag, at = _varint(body, at)
                wire = tag & 7
                if wire == _LENGTH:
                    size, at = _varint(body, at)
                    if child := fields.get(tag >> 3):
                        # Added when found, not when entered: `waiting` stays short too.
                        total += _KINDS[child].size
                        if total > limit:
                            return True
                        waiting.append((at, min(at + size, end), child))
                    at += size
                elif wire == _VARINT:
                    _, at = _varint(body, at)
                elif wire in (_FIXED64, _FIXED32):
                    at += 8 if wire == _FIXED64 else 4
                else:
                    break
    except IndexError:
        pass  # The body ends within a field.
    return False


def _varint(body: bytes, at: int) -> tuple[int, int]:
    """A number and the place after it."""
    byte = body[at]
    if byte < 0x80:
        return byte, at + 1
    number, shift = byte & 0x7F, 7
    while True:
        at += 1
        byte = body[at]
        number |= (byte & 0x7F) << shift
        if byte < 0x80 or shift > 63:
            return number, at + 1
        shift += 7
