"""Two agents with directories of their own on one host: a device is metered once."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from otel_llm.devices.claims import AGAIN_NS, SILENT_NS, Claims
from otel_llm.settings import Settings
from otel_llm.testing import FakeClock
from tests.agent.energy.rig import Rig, serve

WATTS = 300.0
AGAIN_S = AGAIN_NS / 1e9
Make = Callable[[str], Rig]


@pytest.fixture
def make(tmp_path: Path, clock: FakeClock) -> Iterator[Make]:
    """An agent of this host, by its name; made a second time, it goes on from what was saved."""
    made: list[Rig] = []

    def one(name: str) -> Rig:
        own = tmp_path / name
        settings = Settings(
            journal_dir=str(own / "journals"), journal_bytes=1 << 20, state_dir=str(own),
            step_span_ratio=0.0, poll_interval_s=0.1,
        )  # fmt: skip
        own.mkdir(exist_ok=True)
        rig = Rig(settings, clock)
        rig.claims = Claims(tmp_path / "claims", own, clock)
        rig.kill()
        made.append(rig)
        return rig

    yield one
    for rig in made:
        end(rig)


def end(rig: Rig) -> None:
    """The agent's process is gone, and with it what it held."""
    rig.claims.release()
    rig.agent._journals.close()
    rig.database.close()


def run(clock: FakeClock, until_s: float, *rigs: Rig) -> None:
    """Each agent reads the device ten times a second up to a moment."""
    tick = clock.monotonic_ns() // 100_000_000
    while tick / 10 < until_s:
        tick += 1
        for rig in rigs:
            rig.until(tick / 10)
            rig.read(tick / 10, WATTS)
            rig.look()


def windows(*rigs: Rig) -> list[tuple[float, float, int, bool]]:
    """Windows of all agents, by time: begin and end in seconds, millijoules, incomplete."""
    lines: list[dict[str, Any]] = [row for rig in rigs for row in rig.ledger]
    zero = rigs[0].clock.anchor().offset_ns / 1e9
    told = [
        (round(row["started"].timestamp() - zero, 1), round(row["ended"].timestamp() - zero, 1),
         row["delta_mj"], row["incomplete"])
        for row in lines
    ]  # fmt: skip
    return sorted(told)


def overlap(told: list[tuple[float, float, int, bool]]) -> bool:
    """Whether a window begins before the one before it has ended."""
    return any(one[1] > other[0] for one, other in pairwise(told))


def test_one_of_two_meters(make: Make, clock: FakeClock) -> None:
    """The other writes no line and charges nobody: its requests go out at once, without energy."""
    first, second = make("a"), make("b")
    for rig in (first, second):
        serve(rig.engine(), 2.0, 1.0)
    run(clock, 6.0, first, second)
    assert first.closes()
    assert first.charged()[1] == pytest.approx(300_000, rel=0.1)
    assert (second.ledger, second.amounts) == ([], [])
    assert second.rows.items["llm_requests"] == 1
    assert "gpu_devices" not in second.rows.items
    assert second.value(
        "otel_llm_device_elsewhere", hw_id="GPU-a", hw_type="gpu",
        hw_name="NVIDIA H100 80GB HBM3",
    ) == 1  # fmt: skip


def test_the_other_takes_over(make: Make, clock: FakeClock) -> None:
    """Its first window says that it is no whole one; no time is in two windows."""
    first, second = make("a"), make("b")
    run(clock, 4.0, first, second)
    end(first)
    run(clock, 4.0 + AGAIN_S + 4.0, second)
    told = windows(second)
    assert 4.0 <= told[0][0] <= 4.0 + AGAIN_S
    assert [one[3] for one in told] == [True, *[False] * (len(told) - 1)]
    assert len(told) >= 3
    assert not overlap(windows(first, second))
    gauge = [one for one in second.agent.metrics.set.registry.collect()
             if one.name == "otel_llm_device_elsewhere"]  # fmt: skip
    assert [one.samples for one in gauge] == [[]]


def test_engines_bring_the_device(make: Make, clock: FakeClock) -> None:
    """A job that starts later on a shared node meters its own GPU; no time is in two windows."""
    first, second = make("a"), make("b")
    run(clock, 4.5, first, second)
    engine = second.engine()
    run(clock, 8.0 + 2 * AGAIN_S, first, second)
    mine = round(clock.monotonic_ns() / 1e9, 1)
    serve(engine, mine, 2.0)
    run(clock, mine + 6.0, first, second)
    assert second.charged()[1] == pytest.approx(600_000, rel=0.1)
    assert second.closes()
    assert [first.value("otel_llm_device_elsewhere", hw_id="GPU-a", hw_type="gpu",
                        hw_name="NVIDIA H100 80GB HBM3")] == [0]  # fmt: skip
    engine.close()
    run(clock, mine + 30.0, first, second)
    assert windows(second)[-1][1] >= mine + 27.0
    first.engine()
    run(clock, mine + 60.0, first, second)
    assert mine + 30.0 < windows(second)[-1][1] < mine + 50.0
    assert windows(first)[-1][1] >= mine + 57.0
    assert not overlap(windows(first, second))
    # Whole ones but for where an agent began or ended to read.
    assert [[one[3] for one in windows(rig)].count(True) for rig in (first, second)] == [3, 2]


def test_a_source_that_stops_answering(make: Make, clock: FakeClock) -> None:
    """Another agent meters the device until it answers again; no time is in two windows."""
    first, second = make("a"), make("b")
    first.engine()
    run(clock, 4.5, first, second)
    clock.advance(SILENT_NS)
    first.look()
    silent = round(clock.monotonic_ns() / 1e9, 1)
    run(clock, silent + 6.0, second)
    run(clock, silent + 26.0, first, second)
    assert silent + 3.0 < windows(second)[-1][1] < silent + 6.0 + 2 * AGAIN_S
    assert windows(first)[-1][1] >= silent + 23.0
    assert not overlap(windows(first, second))


def test_who_comes_back_is_the_second(make: Make, clock: FakeClock) -> None:
    """What it had open ends where it died, flagged; its requests wait for no meter of its own."""
    first, second = make("a"), make("b")
    run(clock, 4.5, first, second)
    end(first)
    run(clock, 11.0, second)
    again = make("a")
    serve(again.engine(), 11.0, 0.5)
    run(clock, 14.0, second, again)
    assert again.rows.items["llm_requests"] == 1
    [(_, ended, joules, incomplete)] = windows(again)
    assert (ended, incomplete) == (4.5, True)
    assert joules == pytest.approx(150_000, rel=0.25)
    assert not overlap(windows(first, again, second))


def test_who_comes_back_alone(make: Make, clock: FakeClock) -> None:
    """It does not bridge the time that another agent metered, which has ended since."""
    first, second = make("a"), make("b")
    run(clock, 4.5, first, second)
    end(first)
    run(clock, 12.0, second)
    end(second)
    again = make("a")
    run(clock, 15.0, again)
    told = windows(first, second, again)
    assert not overlap(told)
    drawn = (told[-1][1] - told[0][0]) * WATTS * 1000
    assert sum(one[2] for one in told) <= drawn * 1.01
    assert again.closes()


def test_who_comes_back_undisturbed(make: Make, clock: FakeClock) -> None:
    """Nobody else has had the device: one long flagged window over the time between, as before."""
    first = make("a")
    run(clock, 4.5, first)
    end(first)
    clock.advance(5_000_000_000)
    again = make("a")
    run(clock, 13.0, again)
    began, ended, joules, incomplete = windows(first, again)[3]
    assert (began, ended, incomplete) == (4.0, 10.0, True)
    assert joules == pytest.approx(1_800_000, rel=0.05)
