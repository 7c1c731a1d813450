"""Readings of devices, and what befell them, as rows."""

from otel_llm.conventions import Tables
from otel_llm.conventions.columns import NODE
from otel_llm.exporters.clickhouse.rows.common import Row, clock_columns
from otel_llm.facts.device import Device, DeviceSample
from otel_llm.facts.joined import JoinedDevice, JoinedDeviceEvent, JoinedSample

_READINGS = tuple(
    name
    for name in Tables.POWER.column_names
    if name in DeviceSample.__struct_fields__ and name != "device"
)
"""Columns that are fields of the sample, by the same name."""
_OF_NODE = tuple(column.name for column in NODE)
_OF_DEVICE = tuple(
    name
    for name in Tables.GPU_DEVICES.column_names
    if name in Device.__struct_fields__ and name not in ("mig", "links")
)
_MAX_READ = (1 << 32) - 1
_RANGES = {
    "UInt8": (0, (1 << 8) - 1),
    "UInt16": (0, (1 << 16) - 1),
    "UInt32": (0, (1 << 32) - 1),
    "UInt64": (0, (1 << 64) - 1),
    "Int16": (-(1 << 15), (1 << 15) - 1),
}
_RANGE_OF = {
    column.name: _RANGES[inner]
    for column in (*Tables.POWER.columns, *Tables.GPU_PROCESSES.columns)
    if (inner := column.type.removeprefix("Nullable(").removesuffix(")")) in _RANGES
}
"""Least and most that a column of whole numbers holds."""


def sample_row(fact: JoinedSample) -> Row:
    """A row of `gpu_power`."""
    sample = fact.sample
    return {
        **_device(fact.host, sample.device),
        "kind": sample.device.kind,
        "name": sample.device.name,
        "source": sample.device.source,
        "time": sample.anchor.wall(sample.at_ns),
        **{name: _within(name, getattr(sample, name)) for name in _READINGS},
        "read_ns": min(sample.read_ns, _MAX_READ),
        **clock_columns(fact.boot_id, sample.anchor),
    }


def device_event_row(fact: JoinedDeviceEvent) -> Row:
    """A row of `gpu_events`."""
    event = fact.event
    return {
        **_device(fact.host, event.device),
        "time": event.anchor.wall(event.at_ns),
        "event": event.event,
        "code": event.code if event.code is None or 0 <= event.code < 1 << 32 else None,
        "fault": event.fault,
        "message": event.message,
        "action": event.action,
        "source": event.device.source,
        "occurrences": min(event.occurrences, _MAX_READ),
        **clock_columns(fact.boot_id, event.anchor),
    }


def device_row(fact: JoinedDevice) -> Row:
    """A row of `gpu_devices`."""
    device, identity = fact.device, fact.identity
    return {
        **_device(fact.host, device),
        "time": fact.anchor.wall_ns,
        **{name: getattr(identity, name) for name in _OF_NODE},
        **{name: getattr(device, name) for name in _OF_DEVICE},
        "device_index": device.index,
        "links": list(device.links),
        **clock_columns(fact.boot_id, fact.anchor),
    }


def process_rows(fact: JoinedSample) -> list[Row]:
    """Rows of `gpu_processes`, one per process that the sample tells of."""
    sample = fact.sample
    of_all = {
        **_device(fact.host, sample.device),
        "time": sample.anchor.wall(sample.at_ns),
        **clock_columns(fact.boot_id, sample.anchor),
    }
    return [
        {
            **of_all,
            "pid": use.pid,
            "memory_bytes": use.memory_bytes,
            "utilization": _within("utilization", use.utilization),
        }
        for use in sample.processes or ()
    ]


def _device(host: str, device: Device) -> Row:
    return {"host": host, "device": device.id, "mig": device.mig}


def _within(name: str, value: float | None) -> float | None:
    """A reading that its column can hold; null in place of one that no device can mean."""
    least, most = _RANGE_OF.get(name, (None, None))
    if value is None or least is None or most is None:
        return value
    return value if least <= value <= most else None
