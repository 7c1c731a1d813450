"""What an XID means: read from `xid.toml`, which names its sources."""

import importlib.resources
import sys
from collections.abc import Mapping
from functools import cache

import msgspec

from otel_llm.clock import Anchor
from otel_llm.facts.device import Device, DeviceEvent, Fault

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


class Xid(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One entry of the table.

    Attributes:
        meaning: in a few words.
        fault: whose fault it usually is; empty if not known.
        action: what to do.
    """

    meaning: str
    fault: Fault = ""
    action: str = ""


UNKNOWN = Xid("not in the table; see NVIDIA's Xid catalog")


@cache
def table() -> Mapping[int, Xid]:
    """All entries, by number."""
    source = importlib.resources.files("otel_llm.devices") / "xid.toml"
    told = tomllib.loads(source.read_text(encoding="utf-8"))["xid"]
    return {int(number): msgspec.convert(entry, Xid) for number, entry in told.items()}


def classify(number: int) -> Xid:
    """The entry of a number; UNKNOWN if it has none."""
    return table().get(number, UNKNOWN)


def event(device: Device, number: int, anchor: Anchor) -> DeviceEvent:
    """An XID that a device told just now."""
    entry = classify(number)
    return DeviceEvent(
        device=device,
        at_ns=anchor.mono_ns,
        anchor=anchor,
        event="xid",
        code=number,
        fault=entry.fault,
        message=entry.meaning,
        action=entry.action,
    )
