"""Numbers of a batch's members as NumPy arrays."""

from collections.abc import Iterable

import numpy as np

from otel_llm.energy.rounding import Ints
from otel_llm.facts.step import PHASE_DECODE, PHASE_PREFILL, Numbers, StepScheduled, packed


def ints(numbers: Numbers) -> Ints:
    """Numbers as a NumPy array; what is packed is not copied."""
    return np.frombuffer(packed(numbers), dtype=np.int64)


def tokens_by_phase(step: StepScheduled) -> tuple[int, int]:
    """Tokens scheduled for prefill and for decode."""
    tokens = ints(step.tokens)
    whole = int(np.add.reduce(tokens))
    if step.phase.count(PHASE_DECODE) == len(tokens):
        return 0, whole
    prefill = int(np.add.reduce(tokens[np.frombuffer(step.phase, dtype=np.uint8) == PHASE_PREFILL]))
    return prefill, whole - prefill


def joined(batches: Iterable[Numbers]) -> Ints:
    """Numbers of several batches, one after another; the array is the caller's own."""
    return np.frombuffer(bytearray().join(map(packed, batches)), dtype=np.int64)
