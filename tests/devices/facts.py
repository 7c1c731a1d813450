"""Devices, samples and events for tests."""

from otel_llm.clock import Anchor, EpochNs, MonotonicNs
from otel_llm.facts.device import Device, DeviceEvent, DeviceEventName, DeviceSample

GPU = Device(id="GPU-0", kind="gpu", source="nvml", name="H100", memory_bytes=80 << 30)


def anchor(at_ns: int) -> Anchor:
    """A clock reading at a monotonic time."""
    return Anchor(EpochNs(1_700_000_000_000_000_000 + at_ns), MonotonicNs(at_ns), 50)


def sample(at_ns: int = 0, device: Device = GPU, **readings: object) -> DeviceSample:
    """A sample with these readings and no other."""
    return DeviceSample(
        device=device,
        at_ns=MonotonicNs(at_ns),
        anchor=anchor(at_ns),
        **readings,  # type: ignore[arg-type]
    )


def event(name: DeviceEventName, code: int | None = None, at_ns: int = 0) -> DeviceEvent:
    """An event of the GPU."""
    return DeviceEvent(
        device=GPU, at_ns=MonotonicNs(at_ns), anchor=anchor(at_ns), event=name, code=code
    )
