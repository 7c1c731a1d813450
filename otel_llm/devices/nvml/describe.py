"""What a device is: names, limits, MIG instances, and whom its NVLinks reach."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import pynvml

from otel_llm.devices.nvml.library import Calls, DeviceLostError
from otel_llm.facts.device import Device

MAX_LINKS = pynvml.NVML_NVLINK_MAX_LINKS


class Found(NamedTuple):
    """A device or MIG instance and NVML's handle of it."""

    device: Device
    handle: object


class Parts(NamedTuple):
    """MIG instances that were found.

    Attributes:
        found: the instances.
        complete: there are no more of them.
        with_mig: MIG is on, with instances or without.
    """

    found: list[Found]
    complete: bool
    with_mig: bool = True


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
    told = memory(calls, uuid, handle)
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
        memory_bytes=told.total if told is not None else None,
        power_limit_mw=limit,
    )
    return Found(device, handle)


def memory(calls: Calls, uuid: str, handle: object) -> Any:  # noqa: ANN401  NVML's structure
    """A device's memory, as `total` and `used`; None if it does not tell now.

    What the driver keeps for itself is used by nobody, as in `nvidia-smi`. Drivers before 510 tell
    no such figure: `used` has it in there.

    Raises:
        DeviceLostError: it is lost.
    """
    name, older = "nvmlDeviceGetMemoryInfo_v2", "nvmlDeviceGetMemoryInfo"
    told = calls.ask(
        name, uuid, lambda: pynvml.nvmlDeviceGetMemoryInfo(handle, pynvml.nvmlMemory_v2)
    )
    if told is None and not calls.supports(name, uuid):
        told = calls.ask(older, uuid, lambda: pynvml.nvmlDeviceGetMemoryInfo(handle))
    return told


def instances(calls: Calls, parent: Found) -> Parts:
    """The MIG instances of a device, if it is parted.

    Raises:
        DeviceLostError: it is lost.
    """
    uuid, handle = parent.device.id, parent.handle
    mode = calls.ask("nvmlDeviceGetMigMode", uuid, lambda: pynvml.nvmlDeviceGetMigMode(handle))
    if mode is None or mode[0] != pynvml.NVML_DEVICE_MIG_ENABLE:
        refused = mode is None and calls.supports("nvmlDeviceGetMigMode", uuid)
        return Parts([], complete=not refused, with_mig=False)
    most = calls.ask(
        "nvmlDeviceGetMaxMigDeviceCount",
        uuid,
        lambda: pynvml.nvmlDeviceGetMaxMigDeviceCount(handle),
    )
    told = [_part(calls, parent, number) for number in range(most or 0)]
    found = [each for part in told for each in part.found]
    return Parts(found, most is not None and all(part.complete for part in told))


def _part(calls: Calls, parent: Found, number: int) -> Parts:
    """The instance of that number; the numbers have gaps."""
    try:
        handle = pynvml.nvmlDeviceGetMigDeviceHandleByIndex(parent.handle, number)
        return Parts([_instance(calls, parent.device, handle)], complete=True)
    except pynvml.NVMLError_NotFound:
        return Parts([], complete=True)
    except (pynvml.NVMLError, DeviceLostError):
        # Whether its device is lost too, the next reading will say.
        calls.told(
            "nvmlDeviceGetMigDeviceHandleByIndex", parent.device.id, pynvml.NVML_ERROR_UNKNOWN, 0
        )
        return Parts([], complete=False)


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
            lambda: _link_state(handle, link),  # noqa: B023
        )
        if state is None:
            break  # it has no more, or none
        if state:
            reached.append(_remote(handle, link, by_pci))
    return tuple(reached)


def _link_state(handle: object, link: int) -> int | None:
    """Whether a link is up; None past the last one, which is an answer and no refusal."""
    try:
        state: int = pynvml.nvmlDeviceGetNvLinkState(handle, link)
    except pynvml.NVMLError_InvalidArgument:
        return None
    return state


def _remote(handle: object, link: int, by_pci: Mapping[str, str]) -> str:
    try:
        bus_id = _text(pynvml.nvmlDeviceGetNvLinkRemotePciInfo(handle, link).busId)
    except pynvml.NVMLError:
        return "unknown"
    return by_pci.get(bus_id, f"pci:{bus_id}")


def _instance(calls: Calls, parent: Device, handle: object) -> Found:
    uuid = pynvml.nvmlDeviceGetUUID(handle)
    name = calls.ask("nvmlDeviceGetName", uuid, lambda: pynvml.nvmlDeviceGetName(handle)) or ""
    told = memory(calls, uuid, handle)
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
        memory_bytes=told.total if told is not None else None,
    )
    return Found(device, handle)


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
