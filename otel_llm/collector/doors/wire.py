"""The few small messages that are sent back, in protobuf and in JSON.

All three export responses have the same shape: field 1 is the partial success, with the number of
rejected items in its field 1 and a message in its field 2.
"""

import json

from otel_llm.collector.decoder import Signal
from otel_llm.collector.doors.refusal import Refusal

_RETRY_INFO = "type.googleapis.com/google.rpc.RetryInfo"
_REJECTED = {
    "traces": "rejectedSpans",
    "logs": "rejectedLogRecords",
    "metrics": "rejectedDataPoints",
}


def accepted(signal: Signal, rejected: int, message: str, *, as_json: bool) -> bytes:
    """An export response; with a partial success only if there is something to say.

    Args:
        signal: what was sent.
        rejected: items that are not kept.
        message: why not.
        as_json: in JSON, else in protobuf.
    """
    if as_json:
        partial = {_REJECTED[signal]: str(rejected), "errorMessage": message}
        return json.dumps({"partialSuccess": partial} if message else {}).encode()
    return _field(1, _number(1, rejected) + _field(2, message.encode())) if message else b""


def status(refusal: Refusal, *, as_json: bool) -> bytes:
    """A google.rpc.Status, with RetryInfo where sending again is of use."""
    wait = refusal.retry_after_s
    if as_json:
        body: dict[str, object] = {"code": refusal.code, "message": refusal.message}
        if wait is not None:
            body["details"] = [{"@type": _RETRY_INFO, "retryDelay": f"{wait}s"}]
        return json.dumps(body).encode()
    details = b""
    if wait is not None:
        delay = _field(1, _number(1, wait))
        details = _field(3, _field(1, _RETRY_INFO.encode()) + _field(2, delay))
    return _number(1, refusal.code) + _field(2, refusal.message.encode()) + details


def _number(field: int, value: int) -> bytes:
    """A varint field; 0 is the default and is left out."""
    return bytes([field << 3]) + _varint(value) if value else b""


def _field(field: int, value: bytes) -> bytes:
    return bytes([field << 3 | 2]) + _varint(len(value)) + value


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
