"""Finds the devices of an open library, and says what keeps it from being opened."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec
import pynvml

from otel_llm.devices.nvml.describe import Driver, Found, describe, driver, instances, links
from otel_llm.devices.nvml.library import Calls, DeviceLostError
from otel_llm.facts.device import Device

_REMEDIES = {
    pynvml.NVML_ERROR_LIBRARY_NOT_FOUND: (
        "libnvidia-ml.so.1 is not there. Install NVIDIA's driver, or give the container the "
        "capability `utility` (NVIDIA_DRIVER_CAPABILITIES)"
    ),
    pynvml.NVML_ERROR_DRIVER_NOT_LOADED: (
        "NVIDIA's kernel driver is not loaded. Load it: modprobe nvidia"
    ),
    pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH: (
        "libnvidia-ml.so.1 and the kernel driver are of different versions. After the driver's "
        "update restart the agent, or its container; if that is no help, reboot"
    ),
    pynvml.NVML_ERROR_NO_PERMISSION: "NVML may not be used by this user. Give it /dev/nvidiactl",
}


class Listing(NamedTuple):
    """What was found.

    Attributes:
        found: devices, each before its MIG instances.
        problems: devices that cannot be opened, and why.
    """

    found: Sequence[Found]
    problems: Sequence[str]


def remedy(error: pynvml.NVMLError) -> str:
    """Why the library cannot be opened, and what to do."""
    return _REMEDIES.get(error.value, f"NVML cannot be opened: {error}")


def find(calls: Calls, known: Iterable[Device], *, with_links: bool) -> Listing:
    """Find all devices and MIG instances.

    Args:
        calls: makes the calls.
        known: devices that were here before: a link to a lost one has its UUID still.
        with_links: ask also whom their NVLinks reach.

    Raises:
        DeviceLostError: the driver has gone.
        pynvml.NVMLError: devices cannot be listed.
    """
    of = driver(calls)
    found: list[Found] = []
    problems: list[str] = []
    for index in range(pynvml.nvmlDeviceGetCount()):
        found += _device(calls, index, of, problems)
    if with_links:
        named = [*known, *(each.device for each in found)]
        by_pci = {device.pci: device.id for device in named if device.pci}
        found = [each if each.device.mig else _linked(calls, each, by_pci) for each in found]
    return Listing(found, problems)


def _device(calls: Calls, index: int, of: Driver, problems: list[str]) -> list[Found]:
    try:
        one = describe(calls, index, pynvml.nvmlDeviceGetHandleByIndex(index), of)
        return [one, *instances(calls, one).found]
    except (pynvml.NVMLError, DeviceLostError) as error:
        problems.append(f"device {index} cannot be opened: {error}")
        return []


def _linked(calls: Calls, found: Found, by_pci: dict[str, str]) -> Found:
    try:
        reached = links(calls, found, by_pci)
    except DeviceLostError:
        return found  # its first reading will say so
    return Found(msgspec.structs.replace(found.device, links=reached), found.handle)
