"""What a source of device facts must do. Callers know this and no source by name."""

import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from otel_llm.facts.device import Device, DeviceEvent, DeviceSample, DeviceSourceName


class Reading(NamedTuple):
    """One round over all devices of a source.

    Attributes:
        samples: one per device that answered.
        events: what this round found out: a device lost, recovered, reset, an ECC count that grew.
    """

    samples: Sequence[DeviceSample] = ()
    events: Sequence[DeviceEvent] = ()


class DeviceSource(Protocol):
    """A way to read devices. None of its methods raises for what a device does or fails to do.

    `open`, `read` and `close` are called by one thread, in this order, `read` at the cadence of the
    sampler. `wait` is called by a second thread between `open` and `close`.
    """

    @property
    def name(self) -> DeviceSourceName:
        """Which one it is, as in `gpu_power.source`."""

    @property
    def devices(self) -> Sequence[Device]:
        """The devices known now, MIG instances after their parents; lost ones stay."""

    @property
    def problems(self) -> Sequence[str]:
        """What keeps it from telling more, each with its remedy; for `doctor` and the log."""

    @property
    def calls(self) -> Mapping[str, "CallCost"]:
        """What its calls have cost so far, by call."""

    def open(self) -> bool:
        """Find the devices. False if there are none or they cannot be read: see `problems`."""

    def read(self, *, full: bool) -> Reading:
        """Read all devices once.

        Args:
            full: everything; else energy and power alone, which are cheap to ask for often.
        """

    def wait(self, timeout_s: float) -> Sequence[DeviceEvent]:
        """Wait for events at most so long, in seconds; a source without events sleeps it out."""

    def close(self) -> None:
        """Let go of everything; may be called twice."""


class Silent:
    """Part of a source that tells no events but with its readings."""

    def wait(self, timeout_s: float) -> Sequence[DeviceEvent]:
        """Sleep so long, in seconds."""
        time.sleep(timeout_s)
        return ()


class CallCost(NamedTuple):
    """What one kind of call has cost.

    Attributes:
        made: how many there were.
        failed: of those, how many gave an error other than "not supported".
        total_ns: time of all, in nanoseconds: as the driver reports it, else as measured around
            the call.
        supported: devices that support it.
        unsupported: devices that do not.
    """

    made: int
    failed: int
    total_ns: int
    supported: int
    unsupported: int
