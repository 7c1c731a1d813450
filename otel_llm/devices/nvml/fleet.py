"""The devices of an open library, each with its readings, and their MIG instances."""

from collections.abc import Callable, Iterator

from otel_llm.devices.nvml.describe import Found, Parts
from otel_llm.devices.nvml.readings import Readings
from otel_llm.facts.device import Device


class Fleet:
    """Whom we read, and whom we know: devices that are lost stay known, with their instances.

    Args:
        make: readings of a device.

    Attributes:
        devices: all that are known, by UUID, MIG instances too.
        whole: devices that are read, without instances, by UUID.
    """

    def __init__(self, make: Callable[[Found], Readings]) -> None:
        self._make = make
        self._readings: dict[str, Readings] = {}
        self._parts: dict[str, set[str]] = {}
        self._with_mig: dict[str, bool] = {}
        self.devices: dict[str, Device] = {}
        self.whole: dict[str, Found] = {}

    def take(self, found: Found) -> None:
        """Read a device or instance from now on."""
        device = found.device
        key = device.mig or device.id
        if not device.mig:
            self.whole[key] = found
        self.devices[key] = device
        self._readings[key] = self._make(found)

    def renew(self, key: str) -> None:
        """Read a whole device as if it had just been found."""
        self._readings[key].close()
        self._readings[key] = self._make(self.whole[key])

    def readings(self) -> Iterator[tuple[str, Readings]]:
        """UUID and readings of each; one that was dropped meanwhile is left out."""
        for key in list(self._readings):
            readings = self._readings.get(key)
            if readings is not None:
                yield key, readings

    def drop(self, key: str) -> None:
        """Read a device no more, nor its instances; or an instance alone."""
        for each in [each for each, of in self._readings.items() if key in (each, of.device.id)]:
            self._readings.pop(each).close()
        self.whole.pop(key, None)

    def drop_all(self) -> None:
        """Read nothing."""
        for key in list(self.whole):
            self.drop(key)

    def missing(self) -> list[str]:
        """Devices that are known and not read."""
        known = [key for key, device in self.devices.items() if not device.mig]
        return [key for key in known if key not in self.whole]

    def part(self, key: str, parts: Parts) -> bool:
        """A device has these instances now; whether MIG was switched on or off with it."""
        there = {each.device.mig for each in parts.found}
        for mig in self._of(key) - there if parts.complete else ():
            self.drop(mig)
        for each in parts.found:
            if each.device.mig not in self._readings:
                self.take(each)
        before = self._with_mig.get(key, parts.with_mig)
        self._with_mig[key] = parts.with_mig if parts.complete else before
        return self._with_mig[key] != before

    def changed(self, key: str) -> bool:
        """Whether a device has other instances than when last asked; not at the first time."""
        now = self._of(key)
        before = self._parts.setdefault(key, now)
        for mig in before - now:
            del self.devices[mig]
        self._parts[key] = now
        return now != before

    def profiles(self, key: str) -> list[str]:
        """Profiles of a device's instances."""
        return sorted(self.devices[mig].mig_profile for mig in self._of(key))

    def _of(self, key: str) -> set[str]:
        read = (each.device for each in self._readings.values())
        return {device.mig for device in read if device.mig and device.id == key}
