"""The setting `devices`, made into sources. A further kind of device is added here."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from otel_llm.clock import Clock
from otel_llm.devices.estimate import EstimateSource
from otel_llm.devices.null import NullSource
from otel_llm.devices.rapl import RaplSource
from otel_llm.devices.replay import ReplaySource
from otel_llm.devices.source import DeviceSource
from otel_llm.errors import SettingError
from otel_llm.settings import Settings

AUTO = ("nvml", "rapl")
"""What `auto` looks for: measurements alone. An estimate must be asked for."""


def choose(settings: Settings, clock: Clock) -> list[DeviceSource]:
    """The sources that the setting names, none of them open yet.

    Raises:
        SettingError: it names one that there is not, or a recording that cannot be played, or
            two with a device of one id.
    """
    names = [name for entry in settings.devices for name in _expanded(entry)]
    sources = [_source(name, settings, clock) for name in dict.fromkeys(names)]
    recorded = Counter(device.id for each in sources for device in each.devices)
    for device, count in recorded.items():
        if count > 1:
            remedy = "Give it another id in one of them, or replay one alone"
            raise SettingError("devices", f"{count} recordings have a device {device!r}", remedy)
    return sources


def _expanded(entry: str) -> Sequence[str]:
    return {"auto": AUTO, "none": ()}.get(entry, (entry,))


def _source(name: str, settings: Settings, clock: Clock) -> DeviceSource:
    kind, _, path = name.partition(":")
    if kind == "replay" and path:
        return ReplaySource(clock, Path(path))
    if name == "rapl":
        return RaplSource(clock)
    if name == "estimate":
        return EstimateSource(clock, settings.cpu_idle_watts, settings.cpu_busy_watts)
    if name == "nvml":
        return _nvml(settings, clock)
    remedy = "Use auto, nvml, rapl, estimate, replay:FILE or none"
    raise SettingError("devices", f"{name!r} is no source of devices", remedy)


def _nvml(settings: Settings, clock: Clock) -> DeviceSource:
    try:
        from otel_llm.devices.nvml import NvmlSource
    except ModuleNotFoundError as error:
        if error.name != "pynvml":
            raise
        remedy = "pynvml is not installed. Install it: pip install 'otel-llm[gpu]'"
        return NullSource("nvml", [remedy])
    return NvmlSource(clock, settings.device_groups, settings.device_slow_interval_s)
