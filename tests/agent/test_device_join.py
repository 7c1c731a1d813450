"""What devices are, told when they change."""

import msgspec

from otel_llm.agent.device_join import AGAIN_NS, DeviceJoin
from otel_llm.devices.sampler import Taken
from otel_llm.facts.device import Device
from otel_llm.facts.identity import Identity
from otel_llm.facts.joined import JoinedDevice
from tests.devices.facts import GPU, event, sample

PART = msgspec.structs.replace(GPU, mig="MIG-a", mig_profile="1g.10gb")
IDENTITY = Identity(k8s_node="n1")


def told(join: DeviceJoin, at_ns: int, *devices: Device) -> list[Device]:
    """Devices that are told of, from one sample of each."""
    samples = [sample(at_ns, device) for device in devices]
    facts = join.joined(Taken(samples, samples))
    return [fact.device for fact in facts if isinstance(fact, JoinedDevice)]


def test_a_device_is_told_once_a_day() -> None:
    """At its first sample, when it changes, and after a day; an instance for itself."""
    join = DeviceJoin("h1", "boot", IDENTITY)
    assert told(join, 1, GPU, PART) == [GPU, PART]
    assert told(join, 2, GPU, PART) == []
    limited = msgspec.structs.replace(GPU, power_limit_mw=500_000)
    assert told(join, 3, limited, PART) == [limited]
    assert told(join, 3 + AGAIN_NS, limited) == [limited]
    assert told(join, 4 + AGAIN_NS, limited) == []


def test_everything_is_joined_to_the_host() -> None:
    """Rows and events as they came, quick samples not; the device brings the machine's identity."""
    join = DeviceJoin("h1", "boot", IDENTITY)
    full, quick = sample(5, power_mw=1), sample(6, power_mw=2)
    facts = join.joined(Taken([full, quick], [full], [event("xid", 79)]))
    assert [type(fact).__name__ for fact in facts] == [
        "JoinedDevice", "JoinedSample", "JoinedDeviceEvent",
    ]  # fmt: skip
    [device] = [fact for fact in facts if isinstance(fact, JoinedDevice)]
    assert (device.host, device.boot_id, device.identity, device.anchor) == (
        "h1", "boot", IDENTITY, full.anchor,
    )  # fmt: skip
