"""A MIG instance's part of its device: always an estimate, for power is measured of the whole."""

import math
from collections.abc import Mapping

import numpy as np

from otel_llm.energy.meter import Window
from otel_llm.energy.rounding import apportion


def split(
    window: Window, slices: Mapping[str, int], activity: Mapping[str, float]
) -> dict[str, Window]:
    """Share a device's window among its instances by slices times activity.

    Args:
        window: of the whole device.
        slices: compute slices of each instance, by its UUID, for example 1 for `1g.10gb`.
        activity: part of the window in which it was active, 0 to 1; absent if not told.

    Returns:
        A window per instance, by UUID; energies add up to the device's. The method is `estimate`.
        The bound reaches to the split by slices alone, and is at least a fifth of the share.

    Raises:
        ValueError: there is no instance, or an activity is not between 0 and 1.
    """
    if not slices:
        message = "slices: a device without an instance has nothing to split"
        raise ValueError(message)
    for name, active in activity.items():
        if not 0 <= active <= 1:
            message = f"activity of {name}: {active} is not between 0 and 1"
            raise ValueError(message)
    names = sorted(slices)
    size = np.array([slices[name] for name in names], dtype=np.float64)
    part = np.array([activity.get(name, 0.0) for name in names])
    told = all(name in activity for name in names) and bool(part.any())
    by_size = apportion(window.delta_mj, size)
    shares = apportion(window.delta_mj, size * part) if told else by_size
    whole = max(window.delta_mj, 1)
    result = {}
    for name, share, other in zip(names, shares.tolist(), by_size.tolist(), strict=True):
        doubt = max(abs(share - other), share / 5) if told else max(share, window.delta_mj - share)
        error = math.ceil(doubt + window.error_mj * share / whole)
        flags = window.flags if told else tuple(sorted({*window.flags, "no_activity"}))
        result[name] = window._replace(
            delta_mj=share, method="estimate", error_mj=error, flags=flags
        )
    return result
