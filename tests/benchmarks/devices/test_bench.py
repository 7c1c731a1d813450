"""The devices' benchmark runs, and writes figures that agree with each other."""

import json
from pathlib import Path

import pytest

from benchmarks import report
from benchmarks.devices import __main__, measure


@pytest.mark.bench
def test_writes_its_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A short run writes JSON with a figure for each group, and a page that shows them."""
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    monkeypatch.setattr(measure, "ROUNDS", 5)
    monkeypatch.setattr(measure, "REPEATS", 3)
    monkeypatch.setattr(measure, "SAMPLED_S", 0.5)
    __main__.main()
    result = json.loads((tmp_path / "devices.json").read_text())
    assert set(result["group_us"]) == set(measure.groups())
    assert result["core_percent_all_full"] > result["core_percent"] > 0
    assert result["sampler_thread_percent"]["median"] > 0
    assert result["versions"]["nvidia-ml-py"]
    assert f"| {result['core_percent']} % |" in (tmp_path / "devices.md").read_text()
    assert capsys.readouterr().out.startswith("# What reading GPUs costs")


def test_share_of_a_core() -> None:
    """Nine quick rounds a second, and one full one, every tenth of these with the slow groups."""
    assert measure.core_share(100, 0, 0) == pytest.approx(0.09)
    assert measure.core_share(0, 1000, 0) == pytest.approx(0.09)
    assert measure.core_share(0, 0, 1000) == pytest.approx(0.01)


def test_a_device_that_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """A round that lacks a device is no figure."""
    monkeypatch.setattr(measure, "ROUNDS", 1)
    with measure.node() as fake:
        monkeypatch.setattr(measure, "DEVICES", 9)
        with pytest.raises(RuntimeError, match="8 of 9"):
            measure.round_us(fake, ["power"], full=False, slow=False)


def test_a_call_that_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A round without one of its calls is no figure either."""
    monkeypatch.setattr(measure, "ROUNDS", 1)
    monkeypatch.delitem(measure._VALUES, "temperature")
    with measure.node() as fake, pytest.raises(RuntimeError, match="nvmlDeviceGetTemperature"):
        measure.round_us(fake, ["temperature"], full=True, slow=False)
