"""RAPL zones of a made-up /sys."""

from pathlib import Path

import pytest

from otel_llm.devices.rapl import RaplSource
from otel_llm.testing import FakeClock

WRAPS_AT_UJ = 262_143_328_850


def zone(root: Path, folder: str, name: str, energy_uj: int) -> Path:
    """A zone as the kernel shows it."""
    path = root / folder
    path.mkdir()
    (path / "name").write_text(f"{name}\n")
    (path / "max_energy_range_uj").write_text(f"{WRAPS_AT_UJ}\n")
    (path / "energy_uj").write_text(f"{energy_uj}\n")
    return path / "energy_uj"


def test_packages_and_dram(tmp_path: Path) -> None:
    """Both are devices; cores and the platform's other zones are not."""
    zone(tmp_path, "intel-rapl:0", "package-0", 5_000_000)
    zone(tmp_path, "intel-rapl:0:0", "core", 1_000_000)
    zone(tmp_path, "intel-rapl:0:1", "dram", 2_000_000)
    zone(tmp_path, "intel-rapl:1", "package-1", 7_000_000)
    source = RaplSource(FakeClock(), tmp_path)
    assert source.open()
    assert [(each.id, each.kind) for each in source.devices] == [
        ("cpu:0", "cpu"), ("dram:0", "dram"), ("cpu:1", "cpu"),
    ]  # fmt: skip
    assert [each.energy_mj for each in source.read(full=True).samples] == [5000, 2000, 7000]


def test_power_is_the_mean_since_the_last_read(tmp_path: Path) -> None:
    """The kernel tells energy alone."""
    counter = zone(tmp_path, "intel-rapl:0", "package-0", 0)
    clock = FakeClock()
    source = RaplSource(clock, tmp_path)
    source.open()
    assert source.read(full=True).samples[0].power_average_mw is None
    counter.write_text("90000000\n")
    clock.advance(2_000_000_000)
    [sample] = source.read(full=True).samples
    assert (sample.power_mw, sample.power_average_mw) == (None, 45_000)


def test_the_counter_wraps(tmp_path: Path) -> None:
    """Energy goes on where the kernel's counter begins anew."""
    counter = zone(tmp_path, "intel-rapl:0", "package-0", WRAPS_AT_UJ - 1_000_000)
    clock = FakeClock()
    source = RaplSource(clock, tmp_path)
    source.open()
    [before] = source.read(full=True).samples
    counter.write_text("4000000\n")
    clock.advance(100_000_000)
    reading = source.read(full=True)
    [after] = reading.samples
    assert (after.energy_mj or 0) - (before.energy_mj or 0) == 5000
    assert (after.power_average_mw, reading.events) == (50_000, [])


@pytest.mark.parametrize(("before_uj", "after_uj"), [(9_000_000_000, 1), (0, 300_000_000)])
def test_the_counter_begins_anew(tmp_path: Path, before_uj: int, after_uj: int) -> None:
    """No power that no machine has: an event, no power, and energy goes on from where it was."""
    counter = zone(tmp_path, "intel-rapl:0", "package-0", before_uj)
    clock = FakeClock()
    source = RaplSource(clock, tmp_path)
    source.open()
    source.read(full=True)
    clock.advance(100_000_000)
    counter.write_text(f"{after_uj}\n")
    reading = source.read(full=True)
    [anew] = reading.samples
    assert (anew.energy_mj, anew.power_average_mw) == (before_uj // 1000, None)
    assert [(each.event, each.device.id) for each in reading.events] == [("reset", "cpu:0")]
    clock.advance(100_000_000)
    counter.write_text(f"{after_uj + 20_000_000}\n")
    reading = source.read(full=True)
    [later] = reading.samples
    assert (later.energy_mj, later.power_average_mw) == (before_uj // 1000 + 20_000, 200_000)
    assert reading.events == []


def test_what_only_root_may_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The problem names the file and how to mend it."""
    zone(tmp_path, "intel-rapl:0", "package-0", 1)
    read = Path.read_text

    def refused(path: Path, encoding: str | None = None) -> str:
        if path.name == "energy_uj":
            raise PermissionError(13, "Permission denied")
        return read(path, encoding=encoding)

    monkeypatch.setattr(Path, "read_text", refused)
    source = RaplSource(FakeClock(), tmp_path)
    assert not source.open()
    [problem] = source.problems
    assert "energy_uj cannot be read" in problem
    assert "udev" in problem


def test_a_zone_that_goes_bad(tmp_path: Path) -> None:
    """A read that fails is counted, and gives no sample."""
    counter = zone(tmp_path, "intel-rapl:0", "package-0", 1)
    source = RaplSource(FakeClock(), tmp_path)
    source.open()
    counter.write_text("not a number")
    assert source.read(full=True).samples == []
    assert (source.calls["energy_uj"].made, source.calls["energy_uj"].failed) == (1, 1)


def test_a_machine_without(tmp_path: Path) -> None:
    """It is said, and nothing is read."""
    source = RaplSource(FakeClock(), tmp_path / "no")
    assert not source.open()
    assert "no RAPL zone" in source.problems[0]
