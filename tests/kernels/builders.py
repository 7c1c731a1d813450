"""Kernels for tests, from tuples."""

from collections.abc import Sequence

import numpy as np

from otel_llm.kernels.columns import UNKNOWN, Kernels

NAMES = ["gemm", "ncclDevKernel_AllReduce_Sum_bf16_RING_LL", "Memcpy DtoD (Device -> Device)"]
One = tuple[int, int, int, int, int, int | None]
"""Step, device, name, start, duration and launch; None for a launch not known."""


def kernels(ones: Sequence[One]) -> Kernels:
    """Columns of some kernels."""
    rows = [(*one[:5], UNKNOWN if one[5] is None else one[5]) for one in ones]
    step, device, name, start, duration, launch = np.array(rows, np.int64).reshape(-1, 6).T
    zero = np.zeros(len(rows), np.int64)
    return Kernels(NAMES, ["0", "1"], step, name, start, duration, device, zero, zero, launch)
