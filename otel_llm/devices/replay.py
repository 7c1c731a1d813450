"""Recorded samples and events, played again; every row of them is marked `replay`.

A recording is a file of JSON lines. The first describes the devices, each further one is what one
device told at a time after the recording's beginning:

    {"devices": [{"id": "GPU-…", "kind": "gpu", "name": "…"}], "note": "where it comes from"}
    {"at_s": 0.0, "device": 0, "power_mw": 91000, "energy_mj": 120, "temperature_c": 41}
    {"at_s": 7.5, "device": 0, "event": "xid", "code": 31}

Keys are the fields of `DeviceReadings`; of an event, those of `DeviceEvent`. At its end the
recording begins again, and energy goes on from where it was.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from otel_llm.clock import Clock, MonotonicNs
from otel_llm.devices import xid
from otel_llm.devices.source import CallCost, Reading, Silent
from otel_llm.errors import SettingError
from otel_llm.facts.device import (
    Device,
    DeviceEvent,
    DeviceEventName,
    DeviceKind,
    DeviceReadings,
    DeviceSample,
    DeviceSourceName,
)

SECOND_NS = 1_000_000_000
MAX_BYTES = 256 << 20
SHORTEST_S = 0.1
"""Shortest recording: it is played again and again."""


class _RecordedDevice(msgspec.Struct, forbid_unknown_fields=True):
    id: str
    kind: DeviceKind = "gpu"
    name: str = ""
    memory_bytes: int | None = None
    power_limit_mw: int | None = None


class _Header(msgspec.Struct, forbid_unknown_fields=True):
    devices: list[_RecordedDevice]
    note: str = ""


class _Line(DeviceReadings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    at_s: float
    device: int
    event: DeviceEventName | None = None
    code: int | None = None
    message: str = ""


_READINGS = DeviceReadings.__struct_fields__


class Recording(msgspec.Struct, frozen=True):
    """A file of samples, read whole.

    Attributes:
        devices: as facts, marked `replay`.
        lines: in order of time.
        note: where it comes from.
    """

    devices: tuple[Device, ...]
    lines: tuple[_Line, ...]
    note: str

    @property
    def duration_s(self) -> float:
        """From its beginning to its last line, in seconds."""
        return self.lines[-1].at_s


def read_recording(path: Path) -> Recording:
    """Read a recording.

    Raises:
        SettingError: the file cannot be read, or is no recording; it names the line.
    """
    try:
        if path.exists() and not path.is_file():
            raise _bad(path, "it is no plain file")
        if path.stat().st_size > MAX_BYTES:
            raise _bad(path, f"it has more than {MAX_BYTES} bytes")
        told = path.read_bytes().splitlines()
    except OSError as error:
        raise _bad(path, str(error.strerror)) from error
    lines: list[_Line] = []
    try:
        header = msgspec.json.decode(told[0] if told else b"", type=_Header)
        decoder = msgspec.json.Decoder(_Line)
        for line in told[1:]:
            lines.append(decoder.decode(line))
            _check(lines, len(header.devices))
    except (msgspec.MsgspecError, ValueError) as error:
        raise _bad(path, f"near line {len(lines) + 1}: {error}") from error
    if not lines or lines[-1].at_s < SHORTEST_S:
        raise _bad(path, f"it has no samples, or they take less than {SHORTEST_S} s")
    devices = tuple(
        Device(source="replay", index=index, **msgspec.structs.asdict(each))
        for index, each in enumerate(header.devices)
    )
    return Recording(devices, tuple(lines), header.note)


class ReplaySource(Silent):
    """Plays a recording from the time it is opened, again and again.

    Args:
        clock: the machine's.
        path: the recording.

    Raises:
        SettingError: as in `read_recording`.
    """

    name: DeviceSourceName = "replay"

    def __init__(self, clock: Clock, path: Path) -> None:
        self._clock = clock
        self._recording = read_recording(path)
        self._began_ns = 0
        self._next = 0
        self._round = 0
        self._events: list[DeviceEvent] = []
        first = [self._energy(index, first=True) for index in range(len(self._recording.devices))]
        last = [self._energy(index, first=False) for index in range(len(self._recording.devices))]
        self._per_round_mj = [b - a for a, b in zip(first, last, strict=True)]
        self.problems: Sequence[str] = ()
        self.calls: Mapping[str, CallCost] = {}

    @property
    def devices(self) -> Sequence[Device]:
        """As `DeviceSource` says."""
        return self._recording.devices

    def open(self) -> bool:
        """As `DeviceSource` says."""
        self._began_ns = self._clock.monotonic_ns()
        return True

    def read(self, *, full: bool) -> Reading:  # noqa: ARG002  it plays what was recorded
        """As `DeviceSource` says: of each device the last sample that is due, and every event."""
        latest: dict[int, DeviceSample] = {}
        events: list[DeviceEvent] = []
        now_ns = self._clock.monotonic_ns()
        while self._due_ns() <= now_ns:
            line = self._recording.lines[self._next]
            at_ns = MonotonicNs(self._due_ns())
            if line.event is None:
                latest[line.device] = self._sample(line, at_ns)
            else:
                events.append(self._event(line, line.event, at_ns))
            self._next += 1
            if self._next == len(self._recording.lines):
                self._next, self._round = 0, self._round + 1
        return Reading(list(latest.values()), events)

    def close(self) -> None:
        """As `DeviceSource` says."""

    def _due_ns(self) -> int:
        at_s = self._recording.lines[self._next].at_s + self._round * self._recording.duration_s
        return self._began_ns + round(at_s * SECOND_NS)

    def _sample(self, line: _Line, at_ns: MonotonicNs) -> DeviceSample:
        told = {name: getattr(line, name) for name in _READINGS}
        if line.energy_mj is not None:
            told["energy_mj"] = line.energy_mj + self._round * self._per_round_mj[line.device]
        device = self._recording.devices[line.device]
        return DeviceSample(device=device, at_ns=at_ns, anchor=self._clock.anchor(), **told)

    def _event(self, line: _Line, event: DeviceEventName, at_ns: MonotonicNs) -> DeviceEvent:
        entry = xid.classify(line.code or 0) if event == "xid" else xid.Xid(line.message)
        return DeviceEvent(
            device=self._recording.devices[line.device],
            at_ns=at_ns,
            anchor=self._clock.anchor(),
            event=event,
            code=line.code,
            fault=entry.fault,
            message=line.message or entry.meaning,
            action=entry.action,
        )

    def _energy(self, device: int, *, first: bool) -> int:
        told = [
            line.energy_mj
            for line in self._recording.lines
            if line.device == device and line.energy_mj is not None
        ]
        return 0 if not told else told[0] if first else told[-1]


def _check(lines: Sequence[_Line], devices: int) -> None:
    line = lines[-1]
    if not 0 <= line.device < devices:
        message = f"device {line.device} is not among the {devices} of the first line"
        raise ValueError(message)
    if not 0 <= line.at_s < 1e9 or (len(lines) > 1 and line.at_s < lines[-2].at_s):
        message = "at_s must not fall, and be less than 1e9"
        raise ValueError(message)


def _bad(path: Path, problem: str) -> SettingError:
    return SettingError("devices", f"{path} is no recording: {problem}", "See docs/devices.md")
