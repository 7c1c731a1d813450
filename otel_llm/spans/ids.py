"""Ids that follow from what they name, so that an agent that starts again makes the same ones."""

import hashlib

_LOW_64 = (1 << 64) - 1


def trace_id(*names: object) -> str:
    """A trace id, 32 hex digits, that depends on the names alone."""
    return _digest(16, names)


def span_id(*names: object) -> str:
    """A span id, 16 hex digits, that depends on the names alone."""
    return _digest(8, names)


def is_sampled(hex_id: str, ratio: float) -> bool:
    """Whether an id falls within a share, by its last eight bytes.

    The same rule as OpenTelemetry's `TraceIdRatioBased`.

    Args:
        hex_id: a trace or span id in hex.
        ratio: the share, 0 to 1.
    """
    return int(hex_id, 16) & _LOW_64 < round(ratio * (_LOW_64 + 1))


def _digest(size: int, names: tuple[object, ...]) -> str:
    text = "\0".join(str(name) for name in names)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=size).hexdigest()
