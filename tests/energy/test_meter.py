"""Windows of a device's energy."""

import json
import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_llm.energy.meter import Meter, Window

S = 1_000_000_000
TICK = S // 10


def counted(seconds: float, watts: float = 400.0, first: int = 5 * S) -> list[tuple[int, int]]:
    """Readings at 10 Hz of a counter under steady power."""
    return [
        (first + place * TICK, round(1000 + watts * 1000 * place / 10))
        for place in range(int(seconds * 10) + 1)
    ]


def fed(meter: Meter, readings: list[tuple[int, int]]) -> list[Window]:
    """What the meter says of counter readings."""
    return [window for at, energy in readings for window in meter.add(at, energy, None)]


def test_steady_power_gives_its_energy() -> None:
    """400 W give 400 J a second, aligned, within the bound; only the first is partial."""
    windows = fed(Meter(), counted(5.5))
    assert [window.flags for window in windows] == [("partial",), (), (), (), ()]
    assert all(window.method == "counter" for window in windows)
    assert all(window.end_ns % S == 0 for window in windows)
    assert all(abs(window.delta_mj - 400_000) <= window.error_mj for window in windows)


@given(st.lists(st.integers(0, 70_000), min_size=30, max_size=120), st.integers(0, S))
def test_windows_follow_each_other_and_add_up(steps: list[int], first: int) -> None:
    """Ends meet, no energy is negative, and the sum never exceeds what the counter grew by."""
    at, energy, windows, meter = first, 0, [], Meter()
    for step in steps:
        windows += meter.add(at, energy, None)
        at, energy = at + TICK, energy + step
    assert all(a.end_ns == b.start_ns for a, b in pairwise(windows))
    assert all(window.delta_mj >= 0 for window in windows)
    assert sum(window.delta_mj for window in windows) <= energy


@given(st.lists(st.integers(1, 70_000), min_size=40, max_size=120))
def test_what_is_left_open_is_all_that_lacks(steps: list[int]) -> None:
    """Closed windows and the open part, closed at the end, are the counter's growth, exactly."""
    meter, at, energy, windows = Meter(), 3 * S, 0, []
    for step in [*steps, 0]:
        windows += meter.add(at, energy, None)
        at, energy = at + TICK, energy + step
    windows += meter.lose()
    assert sum(window.delta_mj for window in windows) == sum(steps)


@pytest.mark.parametrize("bad", [math.nan, -5.0, math.inf])
def test_power_that_cannot_be_flags_its_window(bad: float) -> None:
    """NaN, negative and endless power is left out; the window says so and keeps its energy."""
    meter, windows = Meter(), []
    for place in range(40):
        power = bad if place == 15 else 300_000.0
        windows += meter.add(5 * S + place * TICK, None, power)
    flagged = [window for window in windows if "bad_power" in window.flags]
    assert len(flagged) == 1
    assert flagged[0].incomplete
    assert flagged[0].delta_mj == pytest.approx(300_000, abs=1)
    assert {window.method for window in windows} == {"integrated"}


def test_a_reset_is_bridged_and_flagged() -> None:
    """A counter that starts anew costs one flagged window, not a huge or negative one."""
    readings = counted(5)
    broken = [(at, energy if place < 25 else energy - readings[25][1])
              for place, (at, energy) in enumerate(readings)]  # fmt: skip
    windows = fed(Meter(), broken)
    flagged = [window for window in windows if "reset" in window.flags]
    assert len(flagged) == 1
    assert flagged[0].method == "estimate"
    assert abs(flagged[0].delta_mj - 400_000) <= flagged[0].error_mj
    assert all(abs(window.delta_mj - 400_000) < 30_000 for window in windows[1:])


def test_a_reset_across_a_windows_end_is_in_both() -> None:
    """A part of each is guessed: both say so, and both bounds hold all of the guess."""
    readings = counted(5, first=5 * S + TICK // 2)
    broken = [(at, energy if place < 20 else energy - readings[20][1])
              for place, (at, energy) in enumerate(readings)]  # fmt: skip
    windows = fed(Meter(), broken)
    assert [(window.method, window.flags) for window in windows[1:3]] == [
        ("estimate", ("reset",)), ("estimate", ("reset",)),
    ]  # fmt: skip
    assert all(window.error_mj >= 40_000 for window in windows[1:3])
    assert windows[3].flags == ()
    assert windows[3].error_mj < 45_000


@pytest.mark.parametrize(("power", "method"), [(400_000.0, "integrated"), (None, "estimate")])
def test_a_reset_that_takes_long_is_in_each_window(power: float | None, method: str) -> None:
    """Also in one that lies between two readings: none of it was counted."""
    meter, windows = Meter(), []
    for place, (at, energy) in enumerate(counted(6)):
        if not 16 <= place < 34:
            windows += meter.add(at, energy - (0 if place < 34 else 1_200_000), power)
    assert [window.flags for window in windows][1:4] == [("reset",)] * 3
    assert [window.method for window in windows] == ["counter", *[method] * 3, "counter"]
    assert sum(window.delta_mj for window in windows) == pytest.approx(400_000 * 5, rel=0.03)


def test_a_jump_that_no_device_draws_is_a_reset() -> None:
    """A counter that leaps is not believed."""
    readings = [(at, energy + (10**12 if place > 25 else 0))
                for place, (at, energy) in enumerate(counted(5))]  # fmt: skip
    windows = fed(Meter(), readings)
    assert sum("reset" in window.flags for window in windows) == 1
    assert max(window.delta_mj for window in windows) < 450_000


@pytest.mark.parametrize(("last", "next_"), [(32, 91), (31, 70)])
def test_missing_readings_make_one_long_flagged_window(last: int, next_: int) -> None:
    """A gap's energy is known, its course is not: one window holds all of it."""
    readings = [one for place, one in enumerate(counted(12)) if not last < place < next_]
    windows = fed(Meter(), readings)
    gaps = [window for window in windows if "gap" in window.flags]
    assert len(gaps) == 1
    assert gaps[0].end_ns - gaps[0].start_ns >= (next_ - last) * TICK
    mean = gaps[0].delta_mj * 1e9 / (gaps[0].end_ns - gaps[0].start_ns)
    assert mean == pytest.approx(400_000, rel=0.02)
    # Its end is known to a tick, however long nobody looked.
    assert gaps[0].error_mj < 150_000


def test_power_that_jumps_at_a_windows_end_widens_its_bound() -> None:
    """Of the tick that lies across the end nobody knows on which side it was drawn."""
    energy, windows, meter = 0, [], Meter()
    for place in range(41):
        windows += meter.add(5 * S + place * TICK, energy, None)
        energy += 10_000 if place < 20 else 50_000
    steady, jump = windows[:2]
    assert steady.error_mj < 25_000
    assert jump.error_mj > 45_000


def test_the_spread_of_power_is_each_windows_own() -> None:
    """Readings of 200 and 400 W by turns: two standard errors of ten, in every window."""
    meter, windows = Meter(), []
    for place in range(101):
        windows += meter.add(5 * S + place * TICK, None, 200_000.0 + place % 2 * 200_000)
    assert len(windows) == 10
    assert all(window.error_mj == pytest.approx(63_246, rel=0.1) for window in windows)


def test_a_gap_without_a_counter_is_an_estimate() -> None:
    """Power that nobody looked at is guessed from both sides, and says so."""
    meter, windows = Meter(), []
    for place in [*range(25), *range(70, 90)]:
        windows += meter.add(5 * S + place * TICK, None, 200_000.0)
    gap = next(window for window in windows if "gap" in window.flags)
    assert gap.method == "estimate"
    assert gap.error_mj > gap.delta_mj / 4


def test_a_stuck_counter_is_flagged() -> None:
    """A counter that stands still for seconds gives windows that say so."""
    meter, windows = Meter(), []
    for place in range(80):
        windows += meter.add(5 * S + place * TICK, 1000 + 40_000 * min(place, 20), None)
    assert any("stuck" in window.flags for window in windows)


def test_time_that_does_not_pass_is_left_out() -> None:
    """A reading not after the last one is refused, and its window flagged."""
    meter = Meter()
    readings = counted(3)
    windows = fed(meter, readings[:15])
    assert meter.add(readings[3][0], 10**9, None) == []
    windows += fed(meter, readings[15:])
    assert [("bad_time" in window.flags) for window in windows].count(True) == 1
    assert max(window.delta_mj for window in windows) < 450_000


def test_a_lost_device_closes_its_window() -> None:
    """What was known is told at once; the device's return begins anew."""
    meter = Meter()
    fed(meter, counted(2.5))
    (last,) = meter.lose()
    assert last.flags == ("lost", "partial")
    assert last.delta_mj > 0
    assert meter.lose() == []
    later = fed(meter, counted(2.5, first=100 * S))
    assert "partial" in later[0].flags
    assert later[0].start_ns == 100 * S


def test_the_first_reading_may_be_a_tick_old() -> None:
    """Read 99 ms after one, then always 1 ms after: the first window counts from before it began.

    Its bound says so; the next ones do not. A tick 2 ms after a read is no reset.
    """
    watts, meter = 400, Meter()
    at = [5 * S + 99_000_000, *(5 * S + place * TICK + 1_000_000 for place in range(1, 32))]
    counter = [watts * 100 * ((one - 5 * S) // TICK) for one in at]
    windows = fed(meter, list(zip(at, counter, strict=True)))
    assert [window.start_ns for window in windows] == [at[0], 6 * S, 7 * S]
    assert [window.flags for window in windows] == [("partial",), (), ()]
    drawn = [watts * (window.end_ns - window.start_ns) / 1e6 for window in windows]
    assert windows[0].delta_mj - drawn[0] > 0.9 * watts * 148
    for window, truth in zip(windows, drawn, strict=True):
        assert abs(window.delta_mj - truth) <= window.error_mj
    assert windows[0].error_mj < watts * 200
    assert windows[1].error_mj < watts * 110


def test_a_window_shorter_than_a_second_is_refused() -> None:
    """The counter's tick would be noise in it."""
    with pytest.raises(ValueError, match="less than 1 s"):
        Meter(500_000_000)


def test_state_survives_a_restart() -> None:
    """A meter restored from plain JSON goes on as if nothing had been."""
    readings = counted(6.3)
    whole = fed(Meter(), readings)
    meter = Meter()
    windows = fed(meter, readings[:27])
    meter = Meter.restored(json.loads(json.dumps(meter.state())))
    assert windows + fed(meter, readings[27:]) == whole


def test_state_stays_small() -> None:
    """An hour of readings leaves no more state than a second of them."""
    meter = Meter()
    fed(meter, counted(5))
    small = len(json.dumps(meter.state()))
    fed(meter, counted(3600, first=11 * S))
    assert len(json.dumps(meter.state())) < small + 60
