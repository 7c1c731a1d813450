"""All NVIDIA GPUs of this node: found, read, lost and found again."""

import threading
import time
from collections.abc import Collection, Mapping, Sequence
from typing import get_args

import pynvml

from otel_llm.backoff import chance, wait_s
from otel_llm.clock import Clock
from otel_llm.devices.nvml.describe import Found, instances
from otel_llm.devices.nvml.events import Events
from otel_llm.devices.nvml.fleet import Fleet
from otel_llm.devices.nvml.library import Calls, DeviceLostError
from otel_llm.devices.nvml.listing import find, remedy
from otel_llm.devices.nvml.noticing import Noticing
from otel_llm.devices.nvml.readings import Group, Readings
from otel_llm.devices.source import CallCost, Reading
from otel_llm.facts.device import (
    Device,
    DeviceEvent,
    DeviceSample,
    DeviceSourceName,
)

GROUPS: frozenset[Group] = frozenset(get_args(Group))
REOPEN_FACTOR = 10
"""How many times longer than a network's back-off: `nvmlInit` is dear, a reset takes minutes."""
LONGEST_WAIT_S = 0.25
"""Longest wait for events while nobody may reopen the library."""


class NvmlSource:
    """Reads GPUs through NVML. Everything that fails is told in `problems` and in events.

    Args:
        clock: the machine's.
        groups: what to read; the others are never asked for (setting `device_groups`).
        slow_s: how often ECC counts and processes are read and MIG instances looked for, in seconds
            (`device_slow_interval_s`).
    """

    name: DeviceSourceName = "nvml"

    def __init__(
        self, clock: Clock, groups: Collection[Group] = GROUPS, slow_s: float = 10.0
    ) -> None:
        self._clock = clock
        self._groups = frozenset(groups)
        self._slow_s = slow_s
        self._next_parts_ns = 0
        self._calls = Calls()
        self._noticing = Noticing(clock)
        self._fleet = Fleet(self._readings)
        self._lost: dict[str, int] = {}
        self._unopened = 0
        self._events: Events | None = None
        self._problems: list[str] = []
        self._is_open = False
        self._failures = 0
        self._reopen_ns = 0
        # Held while the library is opened anew, and while another thread waits for events in it.
        self._library = threading.Lock()
        # Set while somebody wants to open it anew: who listens then stays away.
        self._wanted = threading.Event()

    @property
    def devices(self) -> Sequence[Device]:
        """As `DeviceSource` says."""
        known = list(self._fleet.devices.values())
        return sorted(known, key=lambda device: (device.index, bool(device.mig)))

    @property
    def problems(self) -> Sequence[str]:
        """As `DeviceSource` says."""
        forbidden = [
            f"{device}: {call} is not permitted to this user"
            for device, call in self._calls.forbidden
        ]
        now_lost = self._lost.copy()  # another thread may ask while devices are read
        lost = [f"{device} is lost (NVML error {code})" for device, code in now_lost.items()]
        return [*self._problems, *lost, *forbidden]

    @property
    def calls(self) -> Mapping[str, CallCost]:
        """As `DeviceSource` says."""
        return self._calls.costs

    def open(self) -> bool:
        """As `DeviceSource` says."""
        with self._library:
            self._open()
            for key in self._fleet.whole:
                self._fleet.changed(key)
        if self._unopened:
            self._later()
        return bool(self._fleet.whole)

    def read(self, *, full: bool) -> Reading:
        """As `DeviceSource` says."""
        samples: list[DeviceSample] = []
        events: list[DeviceEvent] = []
        waited_for = self._lost or self._unopened
        if waited_for and self._clock.monotonic_ns() >= self._reopen_ns:
            events += self._reopen()
        if full:
            events += self._look_for_parts()
        for key, readings in self._fleet.readings():
            try:
                read = readings.read(full=full)
            except DeviceLostError as error:
                events += self._lose(key, error.code)
                continue
            events += self._found_again(key)
            samples.append(read.sample)
            events += self._noticing.read(readings.device, read.values)
        return Reading(samples, events)

    def wait(self, timeout_s: float) -> Sequence[DeviceEvent]:
        """As `DeviceSource` says."""
        if self._wanted.is_set():
            time.sleep(timeout_s)
            return ()
        with self._library:
            heard = None
            if self._events is not None:
                heard = self._events.wait(min(timeout_s, LONGEST_WAIT_S))
        if heard is None:
            time.sleep(timeout_s)
        return self._noticing.heard(heard or ())

    def close(self) -> None:
        """As `DeviceSource` says."""
        with self._library:
            self._shut()

    def _open(self) -> None:
        self._shut()  # NVML counts its users, and looks for devices at the first one alone
        self._problems, self._unopened = [], 0
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError as error:
            self._problems.append(remedy(error))
            return
        self._is_open = True
        try:
            known = self._fleet.devices.values()
            listing = find(self._calls, known, with_links="links" in self._groups)
            self._events = Events(self._calls, listing.found, self._clock)
        except (DeviceLostError, pynvml.NVMLError) as error:
            self._problems.append(f"NVML cannot list the devices: {error}")
            return
        self._problems += listing.problems
        self._unopened = len(listing.problems)
        if not listing.found:
            self._problems.append("NVML finds no device")
        for each in listing.found:
            self._fleet.take(each)
        self._problems += self._events.problems

    def _readings(self, found: Found) -> Readings:
        if found.device.mig:
            self._calls.forget(found.device.mig)  # one of its name may have been here before
        return Readings(self._calls, found, self._groups, self._slow_s, self._clock)

    def _shut(self) -> None:
        if not self._is_open:
            return
        self._fleet.drop_all()
        if self._events is not None:
            self._events.close()
        self._events = None
        self._is_open = False
        try:
            pynvml.nvmlShutdown()
        except pynvml.NVMLError_Uninitialized:
            return  # the driver has gone before us

    def _lose(self, key: str, code: int) -> list[DeviceEvent]:
        """A device is lost with its instances, once; an instance alone is looked for again."""
        device = self._fleet.devices[key]
        self._fleet.drop(key)
        if device.mig:
            self._next_parts_ns = 0
            return []
        self._noticing.forget(key)
        if key in self._lost:
            return []
        self._lost[key] = code
        self._later()
        message = f"it does not answer any more (NVML error {code})"
        return [self._noticing.event(device, "lost", message, "hardware", code=code)]

    def _later(self) -> None:
        self._failures += 1
        longer = REOPEN_FACTOR * wait_s(self._failures, chance())
        self._reopen_ns = self._clock.monotonic_ns() + round(longer * 1e9)

    def _reopen(self) -> list[DeviceEvent]:
        """Open the library anew: handles from before a loss stay lost."""
        self._wanted.set()
        try:
            with self._library:
                # What the set has heard of others goes with it, unless it is asked first.
                heard = self._events.rest() if self._events is not None else []
                self._calls.forget()
                self._open()
        finally:
            self._wanted.clear()
        # All are read anew from here; a lost one is back once it has been read.
        missing = self._missing()
        if self._lost or self._unopened:
            self._later()
        return [*self._noticing.heard(heard), *missing]

    def _found_again(self, key: str) -> list[DeviceEvent]:
        if key not in self._lost:
            return []
        del self._lost[key]
        if not self._lost and not self._unopened:
            self._failures = 0
        return [self._noticing.event(self._fleet.devices[key], "recovered", "it answers again")]

    def _missing(self) -> list[DeviceEvent]:
        """Devices that were well and are not found any more are lost; instances may be gone."""
        events = [event for key in self._fleet.whole for event in self._parted(key)]
        for key in self._fleet.missing():
            if key not in self._lost:
                code = self._lost[key] = pynvml.NVML_ERROR_GPU_NOT_FOUND
                device, told = self._fleet.devices[key], "it is not found any more"
                events.append(self._noticing.event(device, "lost", told, "hardware", code=code))
        return events

    def _look_for_parts(self) -> list[DeviceEvent]:
        """Take in MIG instances that were made since, and let go of those that were removed."""
        now_ns = self._clock.monotonic_ns()
        if now_ns < self._next_parts_ns:
            return []
        self._next_parts_ns = now_ns + round(self._slow_s * 1e9)
        events = []
        for key, found in list(self._fleet.whole.items()):
            try:
                parts = instances(self._calls, found)
            except DeviceLostError as error:
                events += self._lose(key, error.code)
                continue
            if self._fleet.part(key, parts):
                # NVML refuses other calls with MIG than without: utilization, for one.
                self._calls.forget(key)
                self._fleet.renew(key)
            if parts.complete:
                events += self._parted(key)
        return events

    def _parted(self, key: str) -> list[DeviceEvent]:
        """Whether a device has other instances than before."""
        if not self._fleet.changed(key):
            return []
        profiles = ", ".join(self._fleet.profiles(key))
        message = f"its MIG instances are now {profiles}" if profiles else "it is parted no more"
        return [self._noticing.event(self._fleet.devices[key], "parted", message)]
