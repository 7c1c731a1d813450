"""Ids that follow from what they name, so that an agent that starts again makes the same ones."""

import functools
import hashlib


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
    bound = _bound(ratio)
    return bound is None or hex_id[-16:] < bound


@functools.lru_cache(maxsize=16)
def _bound(ratio: float) -> str | None:
    """The first eight bytes, in hex, that no longer fall within a share; None if all do.

    Digits in lower case compare as their numbers do.
    """
    bound = round(ratio * (1 << 64))
    return f"{bound:016x}" if bound < 1 << 64 else None


def _digest(size: int, names: tuple[object, ...]) -> str:
    digest = _begun(size, names[:-1]).copy()
    digest.update(str(names[-1]).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


@functools.lru_cache(maxsize=1024)
def _begun(size: int, names: tuple[object, ...]) -> "hashlib.blake2b":
    """A digest of names that more follow: many ids differ in their last name alone."""
    text = "".join([f"{name}\0" for name in names])
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=size)
