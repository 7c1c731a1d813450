"""One look at every source: what it finds, what it reads now, and what keeps it from more."""

import time
from collections.abc import Mapping, Sequence

import msgspec

from otel_llm.devices.source import DeviceSource
from otel_llm.facts.device import Device, DeviceSample

BETWEEN_S = 0.25
"""Between two readings: rates and means need both."""


class Look(msgspec.Struct, frozen=True):
    """What one source has.

    Attributes:
        source: its name.
        devices: what it found.
        samples: one reading of each device that answered.
        unsupported: calls that some devices do not support, and how many do not.
        problems: what keeps it from telling more, with remedies.
    """

    source: str
    devices: Sequence[Device]
    samples: Sequence[DeviceSample]
    unsupported: Mapping[str, int]
    problems: Sequence[str]


def look(source: DeviceSource) -> Look:
    """Open a source, read it twice, and close it."""
    try:
        samples: Sequence[DeviceSample] = ()
        if source.open():
            first = source.read(full=True).samples
            time.sleep(BETWEEN_S)
            samples = source.read(full=True).samples or first
        unsupported = {
            name: cost.unsupported for name, cost in source.calls.items() if cost.unsupported
        }
        return Look(
            source.name,
            list(source.devices),
            list(samples),
            unsupported,
            list(source.problems),
        )
    finally:
        source.close()
