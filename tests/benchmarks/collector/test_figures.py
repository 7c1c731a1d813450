"""What the benchmark says of its rounds."""

import pytest

from benchmarks.collector import __main__ as bench
from benchmarks.collector import page
from benchmarks.collector.ways import DURABLE, WAYS, Round


@pytest.fixture
def taken() -> dict[str, list[Round]]:
    """Rounds in which our receiver stores 60,000 spans a core-second, the collectors less."""
    per_core = dict(zip(WAYS, (10_000, 20_000, 40_000), strict=True))
    ways = {bench.OURS: 60_000, **per_core}
    return {
        name: [Round(spans=1000, cpu_s=1000 / rate, wall_s=1.0) for _ in range(3)]
        for name, rate in ways.items()
    }


def test_the_ratio_is_to_the_best_that_is_as_durable(
    taken: dict[str, list[Round]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not to the slowest collector, and not to one that holds in memory what it acknowledged."""
    monkeypatch.setenv("OTELCOL", "otelcol")
    monkeypatch.setattr(bench, "version", lambda _program: "0.0.0")
    found = bench.figures(taken, 1000)
    assert found["ratio_to_collector_per_core"] == 3.0
    assert [found["ways"][name]["ratio"] for name in WAYS] == [6.0, 3.0, 1.5]
    held = [name for name, way in found["ways"].items() if way["on_disk_before_ack"]]
    assert held == [bench.OURS, *DURABLE]
    text = page.render(found)
    assert "**3.0 times**" in text
    assert "| collector that gathers in memory | 40,000 | 40,000 to 40,000 | 1.5 | no |" in text
