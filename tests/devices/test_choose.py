"""The setting `devices`."""

import sys
from pathlib import Path

import pytest

from otel_llm.devices.choose import choose
from otel_llm.errors import SettingError
from otel_llm.settings import Settings
from otel_llm.testing import FakeClock
from tests.devices.test_replay import HEADER, LINES, recording


def names(*devices: str) -> list[str]:
    """The chosen sources' names."""
    return [each.name for each in choose(Settings(devices=devices), FakeClock())]


def test_names(tmp_path: Path) -> None:
    """Each name is a source, once; `auto` is those that measure, `none` is none."""
    assert names("auto") == ["nvml", "rapl"]
    assert names("none") == []
    assert names("auto", "nvml", "estimate") == ["nvml", "rapl", "estimate"]
    assert names(f"replay:{recording(tmp_path, HEADER, *LINES)}") == ["replay"]


@pytest.mark.parametrize("name", ["gpu", "replay", "replay:", ""])
def test_a_name_that_is_none(name: str) -> None:
    """The error says which ones there are."""
    with pytest.raises(SettingError, match="auto, nvml, rapl, estimate, replay:FILE or none"):
        names(name)


def test_without_pynvml(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the extra is not installed, the source says how to get it."""
    monkeypatch.setitem(sys.modules, "pynvml", None)
    for module in [name for name in sys.modules if name.startswith("otel_llm.devices.nvml")]:
        monkeypatch.delitem(sys.modules, module)
    [source] = choose(Settings(devices=("nvml",)), FakeClock())
    assert not source.open()
    assert "pip install 'otel-llm[gpu]'" in source.problems[0]


def test_recordings_with_one_device(tmp_path: Path) -> None:
    """Two that name the same device would be one on every page; two that do not may be played."""
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    other = {"devices": [{"id": "GPU-s"}]}
    first = recording(tmp_path, HEADER, *LINES)
    same = recording(tmp_path / "one", HEADER, *LINES)
    differs = recording(tmp_path / "two", other, *LINES)
    assert names(f"replay:{first}", f"replay:{differs}") == ["replay", "replay"]
    with pytest.raises(SettingError, match="2 recordings have a device 'GPU-r'"):
        names(f"replay:{first}", f"replay:{same}")
