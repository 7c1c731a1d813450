"""Numbers of a batch's members as NumPy arrays."""

from collections.abc import Iterable

import numpy as np

from otel_llm.energy.rounding import Ints
from otel_llm.facts.step import Numbers, packed


def joined(batches: Iterable[Numbers]) -> Ints:
    """Numbers of several batches, one after another; the array is the caller's own."""
    return np.frombuffer(bytearray().join(map(packed, batches)), dtype=np.int64)
