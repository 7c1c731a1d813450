"""MIG instances, idle power and calibration."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_llm.energy.calibration import Observed, fit
from otel_llm.energy.idle import IdlePower
from otel_llm.energy.meter import Window
from otel_llm.energy.mig import split

S = 1_000_000_000


def window(delta: int, second: int = 0, flags: tuple[str, ...] = ()) -> Window:
    """One second."""
    return Window(second * S, (second + 1) * S, delta, "counter", 100, flags)


@given(st.integers(0, 10**6), st.lists(st.integers(1, 7), min_size=1, max_size=7), st.data())
def test_instances_add_up_to_their_device(
    delta: int, sizes: list[int], data: st.DataObject
) -> None:
    """Energies of instances are the device's, exactly, and say they are estimates."""
    slices = {f"MIG-{place}": size for place, size in enumerate(sizes)}
    activity = {name: data.draw(st.floats(0, 1)) for name in slices}
    parts = split(window(delta), slices, activity)
    assert sum(one.delta_mj for one in parts.values()) == delta
    assert {one.method for one in parts.values()} == {"estimate"}


def test_activity_decides_and_its_lack_is_flagged() -> None:
    """An idle instance is charged nothing; without activity slices decide, and it says so."""
    slices = {"a": 3, "b": 1}
    assert split(window(800), slices, {"a": 0.0, "b": 0.5})["b"].delta_mj == 800
    untold = split(window(800), slices, {"a": 0.5})
    assert untold["a"].delta_mj == 600
    assert untold["a"].flags == ("no_activity",)
    with pytest.raises(ValueError, match="activity of a"):
        split(window(1), slices, {"a": 1.5})
    with pytest.raises(ValueError, match="nothing to split"):
        split(window(1), {}, {})


def test_a_split_is_never_surer_than_a_fifth() -> None:
    """Activity and slices agree: an estimate still, and the window's doubt is added."""
    both = split(window(800), {"a": 1, "b": 1}, {"a": 0.5, "b": 0.5})
    assert both["a"].error_mj == 80 + 50


def test_idle_power_is_learnt_from_mixed_windows() -> None:
    """From windows that are never empty the line is followed to where they would be."""
    idle = IdlePower()
    assert idle.mw is None
    for second in range(10):
        part = 0.1 + 0.06 * second
        idle.add(window(round(90_000 * part + 500_000 * (1 - part)), second), round(part * S))
    assert idle.mw == pytest.approx(90_000, rel=0.01)
    assert IdlePower.restored(json.loads(json.dumps(idle.state()))).mw == idle.mw


def test_idle_power_is_never_above_what_a_window_drew() -> None:
    """A line that leads above the least of the windows is not followed."""
    idle = IdlePower()
    for second in range(9):
        idle.add(window(300_000, second), round(0.1 * second * S))
    idle.add(window(50_000, 9), 0)
    assert idle.mw == 50_000


def test_an_empty_window_is_believed_and_a_flagged_one_is_not() -> None:
    """A window without a step tells idle power; one that lost readings tells nothing."""
    idle = IdlePower()
    idle.add(window(5, flags=("gap",)), S)
    assert idle.mw is None
    idle.add(window(70_000), S)
    assert idle.mw == 70_000


def test_calibration_finds_what_made_the_windows() -> None:
    """Coefficients that made the energies come back; too alike windows are refused."""
    random = np.random.default_rng(0)
    busy, flops, moved = random.uniform(0.3, 1, (3, 40)) * np.array([[1.0], [3e14], [2e12]])
    energy = 150 * busy + 0.4e-12 * flops + 60e-12 * moved
    ones = np.ones(40)
    peak = fit(Observed(energy, busy, flops, moved), ones, flops, moved)
    assert peak.calibrated
    assert (peak.static_w, peak.pj_per_flop, peak.pj_per_byte) == pytest.approx((150, 0.4, 60))
    with pytest.raises(ValueError, match="too alike"):
        fit(Observed(energy, busy, busy * 1e14, busy * 1e12), ones, flops, moved)


def test_no_coefficient_is_negative() -> None:
    """Where the data ask for a negative one it is 0."""
    random = np.random.default_rng(1)
    busy, flops, moved = random.uniform(0.3, 1, (3, 40)) * np.array([[1.0], [3e14], [2e12]])
    energy = 300 * busy + 0.4e-12 * flops - 10e-12 * moved
    peak = fit(Observed(energy, busy, flops, moved), np.ones(40), flops, moved)
    assert peak.pj_per_byte == 0
    assert min(peak.static_w, peak.pj_per_flop) > 0
