"""A device's coefficients, fitted to runs on it."""

from typing import NamedTuple

import numpy as np

from otel_llm.energy.rounding import Floats
from otel_llm.energy.shape import DevicePeak


class Observed(NamedTuple):
    """Windows of runs that used the device in different ways. Shape (windows,) each.

    Attributes:
        energy_j: metered, less idle, in joules.
        busy_s: time with a step on the device, in seconds.
        flops, bytes: of the steps in it, as `Work` reckons them.
    """

    energy_j: Floats
    busy_s: Floats
    flops: Floats
    bytes: Floats


def fit(observed: Observed, step_s: Floats, step_flops: Floats, step_bytes: Floats) -> DevicePeak:
    """Least squares of energy; rates are the best seen in steps (their 98th percentile).

    Args:
        observed: at least 10 windows, with prefill and decode in different proportions.
        step_s: shape (steps,); time of single steps on the device, in seconds, above 0.
        step_flops: shape (steps,); their operations.
        step_bytes: shape (steps,); their bytes.

    Raises:
        ValueError: too few windows, or too alike to tell the three coefficients apart.
    """
    columns = np.stack([observed.busy_s, observed.flops / 1e12, observed.bytes / 1e12], axis=1)
    scale = columns.max(axis=0, initial=1e-12)
    if len(columns) < 10 or np.linalg.cond(columns / scale) > 1e4:
        message = "windows: too few or too alike; run prefill alone, decode alone, and both"
        raise ValueError(message)
    chosen = _not_negative(columns / scale, observed.energy_j) / scale
    flops = float(np.percentile(step_flops / step_s, 98))
    bytes_s = float(np.percentile(step_bytes / step_s, 98))
    static_w, per_flop, per_byte = (float(one) for one in chosen)
    return DevicePeak(flops, bytes_s, static_w, per_flop, per_byte, calibrated=True)


def _not_negative(columns: Floats, wanted: Floats) -> Floats:
    """Least squares with coefficients of at least 0: the worst is left out until none is below."""
    free = np.ones(columns.shape[1], dtype=np.bool_)
    while True:
        found = np.zeros(len(free))
        found[free] = np.linalg.lstsq(columns[:, free], wanted, rcond=None)[0]
        if (found >= 0).all():
            return found
        free[np.argmin(found)] = False
