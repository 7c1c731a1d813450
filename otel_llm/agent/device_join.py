"""What the sampler hands over, as joined facts: readings, events, and what the devices are."""

from typing import NamedTuple

from otel_llm.clock import MonotonicNs
from otel_llm.devices.sampler import Taken
from otel_llm.facts.device import Device, DeviceSample
from otel_llm.facts.identity import Identity
from otel_llm.facts.joined import Joined, JoinedDevice, JoinedDeviceEvent, JoinedSample

AGAIN_NS = 86_400_000_000_000
"""How often a device that stays as it is is told again: a store may have lost the row."""


class _Told(NamedTuple):
    device: Device
    at_ns: MonotonicNs


class DeviceJoin:
    """Makes facts of one host's devices.

    Args:
        host: host name.
        boot_id: boot of the host.
        identity: of this process, for what is the machine's of it.
    """

    def __init__(self, host: str, boot_id: str, identity: Identity) -> None:
        self._host = host
        self._boot_id = boot_id
        self._identity = identity
        self._told: dict[tuple[str, str, str], _Told] = {}

    def joined(self, taken: Taken) -> list[Joined]:
        """Facts of what was handed over."""
        return [
            *(self._device(sample) for sample in taken.samples if self._is_news(sample)),
            *(JoinedSample(self._host, self._boot_id, each) for each in taken.rows),
            *(JoinedDeviceEvent(self._host, self._boot_id, each) for each in taken.events),
        ]

    def _is_news(self, sample: DeviceSample) -> bool:
        device = sample.device
        key = (device.source, device.id, device.mig)
        told = self._told.get(key)
        if told and told.device == device and sample.at_ns - told.at_ns < AGAIN_NS:
            return False
        self._told[key] = _Told(device, sample.at_ns)
        return True

    def _device(self, sample: DeviceSample) -> JoinedDevice:
        return JoinedDevice(self._host, self._boot_id, sample.anchor, sample.device, self._identity)
