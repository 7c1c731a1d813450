"""Power of CPUs from their busy time."""

from pathlib import Path

import pytest

from otel_llm.devices.estimate import EstimateSource, cpu_times
from otel_llm.testing import FakeClock


def test_it_goes_with_busy_time() -> None:
    """Idle watts, busy watts, and half of the way between; marked as an estimate."""
    ticks = iter([(0, 0), (0, 100), (100, 200), (150, 300)])
    clock = FakeClock()
    source = EstimateSource(clock, 40.0, 200.0, lambda: next(ticks))
    assert source.open()
    told = []
    for _ in range(3):
        clock.advance(1_000_000_000)
        told += source.read(full=False).samples
    assert [each.power_average_mw for each in told] == [40_000, 200_000, 120_000]
    assert [each.energy_mj for each in told] == [40_000, 240_000, 360_000]
    assert {each.device.source for each in told} == {"estimate"}


def test_less_than_a_tick() -> None:
    """Between two ticks nothing is known, and nothing is told."""
    clock = FakeClock()
    source = EstimateSource(clock, 40.0, 200.0, lambda: (5, 10))
    source.open()
    clock.advance(1_000_000)
    assert list(source.read(full=False).samples) == []


def test_the_kernel_s_file(tmp_path: Path) -> None:
    """Idle and iowait are not busy; guests are not counted twice."""
    stat = tmp_path / "stat"
    stat.write_text("cpu  10 1 20 100 7 2 3 4 50 6\ncpu0 1 1 1 1\n")
    assert cpu_times(stat) == (40, 147)
    busy, total = cpu_times()
    assert 0 < busy < total


@pytest.mark.parametrize("text", ["", "intr 1 2", "cpu 1 2", "cpu a b c d e f g h"])
def test_a_strange_file(tmp_path: Path, text: str) -> None:
    """It cannot be opened, and says so."""
    (tmp_path / "stat").write_text(text)
    source = EstimateSource(FakeClock(), 1.0, 2.0, lambda: cpu_times(tmp_path / "stat"))
    assert not source.open()
    assert "cannot be read" in source.problems[0]


@pytest.mark.parametrize(("busy", "watts"), [(130, 200_000), (-10, 40_000)])
def test_ticks_that_do_not_add_up(busy: int, watts: int) -> None:
    """The kernel's idle times may fall (proc(5)): no more than busy, no less than idle."""
    ticks = iter([(0, 0), (busy, 100)])
    clock = FakeClock()
    source = EstimateSource(clock, 40.0, 200.0, lambda: next(ticks))
    source.open()
    clock.advance(1_000_000_000)
    assert [each.power_average_mw for each in source.read(full=False).samples] == [watts]
