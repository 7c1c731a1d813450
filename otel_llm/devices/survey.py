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
        samples: one reading of each device that answered, of both what it told.
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
            samples = _both(first, source.read(full=True).samples)
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


def _both(first: Sequence[DeviceSample], second: Sequence[DeviceSample]) -> list[DeviceSample]:
    """The last sample of each device, with what only the first has: slow groups are in that one."""
    latest = {_who(sample): sample for sample in first}
    for sample in second:
        before = latest.get(_who(sample))
        latest[_who(sample)] = sample if before is None else _filled(sample, before)
    return list(latest.values())


def _filled(sample: DeviceSample, before: DeviceSample) -> DeviceSample:
    missing = {
        name: getattr(before, name)
        for name in sample.__struct_fields__
        if getattr(sample, name) is None
    }
    return msgspec.structs.replace(sample, **missing)


def _who(sample: DeviceSample) -> tuple[str, str]:
    return sample.device.id, sample.device.mig
