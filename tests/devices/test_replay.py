"""Recordings, played."""

import contextlib
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_llm.devices.replay import ReplaySource, read_recording
from otel_llm.errors import SettingError
from otel_llm.testing import FakeClock

HEADER = {"devices": [{"id": "GPU-r", "name": "H100", "memory_bytes": 10}], "note": "made up"}
LINES = [
    {"at_s": 0.0, "device": 0, "power_mw": 100, "energy_mj": 1000},
    {"at_s": 1.0, "device": 0, "power_mw": 200, "energy_mj": 1100},
    {"at_s": 1.5, "device": 0, "event": "xid", "code": 79},
    {"at_s": 2.0, "device": 0, "power_mw": 300, "energy_mj": 1300},
]


def recording(folder: Path, *lines: object) -> Path:
    """A file of these lines."""
    path = folder / "a.jsonl"
    path.write_text("\n".join(x if isinstance(x, str) else json.dumps(x) for x in lines) + "\n")
    return path


def test_it_plays_in_time(tmp_path: Path) -> None:
    """Samples and events come when they are due, marked as replayed."""
    clock = FakeClock()
    source = ReplaySource(clock, recording(tmp_path, HEADER, *LINES))
    assert source.open()
    [first] = source.read(full=False).samples
    assert (first.power_mw, first.device.source, first.at_ns) == (100, "replay", 1_000_000_000)
    assert source.read(full=False).samples == []
    clock.advance(1_600_000_000)
    reading = source.read(full=False)
    assert [each.power_mw for each in reading.samples] == [200]
    [event] = reading.events
    assert (event.code, event.fault, event.at_ns) == (79, "hardware", 2_500_000_000)


def test_it_begins_again(tmp_path: Path) -> None:
    """At its end it goes on from the start; energy does not fall."""
    clock = FakeClock()
    source = ReplaySource(clock, recording(tmp_path, HEADER, *LINES))
    source.open()
    seen = []
    for _ in range(9):
        seen += [each.energy_mj for each in source.read(full=False).samples]
        clock.advance(1_000_000_000)
    assert seen == sorted(seen, key=lambda mj: mj or 0)
    assert seen[-1] == 1000 + 4 * 300


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ([], "near line 1"),
        (["not json"], "near line 1"),
        ([HEADER], "no samples"),
        ([HEADER, {"at_s": 0, "device": 0}], "less than 0.1 s"),
        ([HEADER, {"at_s": 1, "device": 1}], "device 1 is not among the 1"),
        ([HEADER, {"at_s": 2, "device": 0}, {"at_s": 1, "device": 0}], "must not fall"),
        ([HEADER, {"at_s": 1e300, "device": 0}], "at_s"),
        ([HEADER, {"at_s": 1, "device": 0, "watts": 3}], "watts"),
        ([HEADER, {"at_s": 1, "device": 0, "power_mw": "x"}], "power_mw"),
    ],
)
def test_bad_files(tmp_path: Path, lines: list[object], problem: str) -> None:
    """The error names the file, the place and what is wrong."""
    path = recording(tmp_path, *lines)
    with pytest.raises(SettingError, match=problem) as raised:
        read_recording(path)
    assert str(path) in str(raised.value)


def test_no_such_file(tmp_path: Path) -> None:
    """It says so."""
    with pytest.raises(SettingError, match="No such file"):
        read_recording(tmp_path / "no")


def test_no_plain_file(tmp_path: Path) -> None:
    """A fifo or a device would never end."""
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", tmp_path, Path("/dev/zero")):
        with pytest.raises(SettingError, match="no plain file"):
            read_recording(path)


@given(st.binary(max_size=200))
def test_any_bytes(tmp_path_factory: pytest.TempPathFactory, told: bytes) -> None:
    """Whatever is in the file, it is a recording or a clear error."""
    path = tmp_path_factory.mktemp("r") / "a"
    path.write_bytes(json.dumps(HEADER).encode() + b"\n" + told)
    with contextlib.suppress(SettingError):
        assert read_recording(path).lines
