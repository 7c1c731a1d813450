"""No devices: what callers hold where there is nothing to read."""

from collections.abc import Mapping, Sequence

from otel_llm.devices.source import CallCost, Reading, Silent
from otel_llm.facts.device import Device, DeviceSourceName


class NullSource(Silent):
    """A source without devices, under the name of one that could not be opened.

    Args:
        name: whose place it takes.
        problems: why it has none.
    """

    def __init__(self, name: DeviceSourceName, problems: Sequence[str] = ()) -> None:
        self.name: DeviceSourceName = name
        self.problems: Sequence[str] = problems
        self.devices: Sequence[Device] = ()
        self.calls: Mapping[str, CallCost] = {}

    def open(self) -> bool:
        """There is nothing to open."""
        return False

    def read(self, *, full: bool) -> Reading:  # noqa: ARG002  as `DeviceSource` says
        """Nothing."""
        return Reading()

    def close(self) -> None:
        """There is nothing to close."""
