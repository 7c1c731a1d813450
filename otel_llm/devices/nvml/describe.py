"""What a device is: names, limits, MIG instances, and whom its NVLinks reach."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import pynvml

from otel_llm.devices.nvml.library import Calls
from otel_llm.facts.device import Device

MAX_LINKS = pynvml.NVML_NVLINK_MAX_LINKS


class Found(NamedTuple):
    """A device or MIG instance and NVML's handle of it."""

    device: Device
    handle: object


class Driver(NamedTuple):
    """Versions of the driver: its own, and the highest of CUDA that it serves, as `13.0`."""

    version: str
    cuda: str


def driver(calls: Calls) -> Driver:
    """The driver's versions; empty where it does not tell."""
    version = calls.ask("nvmlSystemGetDriverVersion", "", pynvml.nvmlSystemGetDriverVersion)
    cuda = calls.ask(
        "nvmlSystemGetCudaDriverVersion_v2", "", pynvml.nvmlSystemGetCudaDriverVersion_v2
    )
    shown = "" if cuda is None else f"{cuda // 1000}.{cuda % 1000 // 10}"
    return Driver(version or "", shown)


def describe(calls: Calls, index: int, handle: object, of: Driver) -> Found:
    """One whole device; its links are added when all are known.

    Raises:
        DeviceLostError: it is lost.
        pynvml.NVMLError: it has no UUID, without which nothing can be told of it.
    """
    uuid = pynvml.nvmlDeviceGetUUID(handle)
    memory = calls.ask(
        "nvmlDeviceGetMemoryInfo", uuid, lambda: pynvml.nvmlDeviceGetMemoryInfo(handle)
    )
    limit = calls.ask(
        "nvmlDeviceGetPowerManagementLimit",
        uuid,
        lambda: pynvml.nvmlDeviceGetPowerManagementLimit(handle),
    )
    pci = calls.ask("nvmlDeviceGetPciInfo_v3", uuid, lambda: pynvml.nvmlDeviceGetPciInfo(handle))
    name = calls.ask("nvmlDeviceGetName", uuid, lambda: pynvml.nvmlDeviceGetName(handle))
    device = Device(
        id=uuid,
        kind="gpu",
        source="nvml",
        name=name or "",
        index=index,
        pci=_text(pci.busId) if pci is not None else "",
        driver_version=of.version,
        cuda_version=of.cuda,
        memory_bytes=memory.total if memory is not None else None,
        power_limit_mw=limit,
    )
    return Found(device, handle)


def instances(calls: Calls, parent: Found) -> Iterator[Found]:
    """The MIG instances of a device, if it is parted.

    Raises:
        DeviceLostError: it is lost.
    """
    uuid, handle = parent.device.id, parent.handle
    mode = calls.ask("nvmlDeviceGetMigMode", uuid, lambda: pynvml.nvmlDeviceGetMigMode(handle))
    if mode is None or mode[0] != pynvml.NVML_DEVICE_MIG_ENABLE:
        return
    most = calls.ask(
        "nvmlDeviceGetMaxMigDeviceCount",
        uuid,
        lambda: pynvml.nvmlDeviceGetMaxMigDeviceCount(handle),
    )
    for number in range(most or 0):
        try:
            part = pynvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, number)
        except pynvml.NVMLError_NotFound:
            continue  # the numbers have gaps
        yield _instance(calls, parent.device, part)


def links(calls: Calls, found: Found, by_pci: Mapping[str, str]) -> tuple[str, ...]:
    """Whom each active NVLink of a device reaches: a device's UUID, else `pci:` and the bus id.

    Args:
        calls: makes the calls.
        found: the device.
        by_pci: UUIDs by bus id.

    Raises:
        DeviceLostError: it is lost.
    """
    uuid, handle, reached = found.device.id, found.handle, []
    for link in range(MAX_LINKS):
        state = calls.ask(
            "nvmlDeviceGetNvLinkState",
            uuid,
            lambda: pynvml.nvmlDeviceGetNvLinkState(handle, link),  # noqa: B023
        )
        if state is None:
            break  # refused: there are no more
        if state:
            reached.append(_remote(handle, link, by_pci))
    return tuple(reached)


def _remote(handle: object, link: int, by_pci: Mapping[str, str]) -> str:
    try:
        bus_id = _text(pynvml.nvmlDeviceGetNvLinkRemotePciInfo(handle, link).busId)
    except pynvml.NVMLError:
        return "unknown"
    return by_pci.get(bus_id, f"pci:{bus_id}")


def _instance(calls: Calls, parent: Device, handle: object) -> Found:
    uuid = pynvml.nvmlDeviceGetUUID(handle)
    name = calls.ask("nvmlDeviceGetName", uuid, lambda: pynvml.nvmlDeviceGetName(handle)) or ""
    memory = calls.ask(
        "nvmlDeviceGetMemoryInfo", uuid, lambda: pynvml.nvmlDeviceGetMemoryInfo(handle)
    )
    device = Device(
        id=parent.id,
        kind="gpu",
        source="nvml",
        name=name,
        index=parent.index,
        mig=uuid,
        # The driver calls an instance by its device's name, `MIG` and the profile.
        mig_profile=name.rpartition(" MIG ")[2] if " MIG " in name else "",
        pci=parent.pci,
        driver_version=parent.driver_version,
        cuda_version=parent.cuda_version,
        memory_bytes=memory.total if memory is not None else None,
    )
    return Found(device, handle)


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
