"""A window shared out."""

from collections import Counter
from fractions import Fraction
from itertools import pairwise
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_llm.energy import attribution
from otel_llm.energy.attribution import Shares, Steps, attribute, weigh
from otel_llm.energy.meter import Window
from otel_llm.energy.rounding import apportion

S = 1_000_000_000
Step = tuple[int, int, int, list[tuple[int, bool, int]]]

step = st.tuples(
    st.integers(-S // 2, 3 * S // 2),
    st.integers(0, S),
    st.integers(0, 1000),
    st.lists(st.tuples(st.integers(0, 9), st.booleans(), st.integers(1, 9)), max_size=5),
)


def arrays(steps: list[Step]) -> Steps:
    """Steps as arrays; one without members is not known."""
    members = [member for one in steps for member in one[3]]
    share = [weight / sum(other[2] for other in one[3]) for one in steps for _, _, weight in one[3]]
    return Steps(
        np.array([one[0] for one in steps], dtype=np.int64),
        np.array([one[0] + one[1] for one in steps], dtype=np.int64),
        np.array([one[2] for one in steps], dtype=np.float64),
        np.array([bool(one[3]) for one in steps], dtype=np.bool_),
        np.array([len(one[3]) for one in steps], dtype=np.int64),
        np.array([member[0] for member in members], dtype=np.int64),
        np.array([member[1] for member in members], dtype=np.bool_),
        np.array(share, dtype=np.float64),
    )


def window(delta: int) -> Window:
    """One second."""
    return Window(0, S, delta, "counter", 100)


def charged(shares: Shares) -> dict[int, tuple[int, int]]:
    """Prefill and decode by request."""
    columns = (shares.request.tolist(), shares.prefill_mj.tolist(), shares.decode_mj.tolist())
    return {request: (one, two) for request, one, two in zip(*columns, strict=True)}


def idle_oracle(steps: list[Step]) -> int:
    """Nanoseconds without a step, by sweeping edges."""
    edges = sorted({0, S, *(min(max(edge, 0), S) for s in steps for edge in (s[0], s[0] + s[1]))})
    return sum(
        b - a for a, b in pairwise(edges) if not any(s[0] <= a and b <= s[0] + s[1] for s in steps)
    )


def charge_oracle(steps: list[Step], active: int) -> dict[int, Fraction]:
    """Exact charge by request, in fractions, with loops; -1 is nobody."""
    whole: dict[int, Fraction] = {}
    for start, length, busy, members in steps:
        end = start + length
        inside = max(min(end, S) - max(start, 0), 0)
        part = Fraction(inside, length) if length else Fraction(int(0 <= start < S))
        total = sum(weight for _, _, weight in members)
        for request, _, weight in members or [(-1, False, 1)]:
            share = Fraction(weight, total) if members else Fraction(1)
            whole[request] = whole.get(request, Fraction(0)) + busy * part * share
    sums = sum(whole.values())
    return {name: active * value / sums for name, value in whole.items()} if sums else {}


@given(st.lists(step, max_size=8), st.integers(0, 10**6), st.integers(0, 400_000))
def test_a_window_is_shared_as_a_loop_would(steps: list[Step], delta: int, idle_mw: int) -> None:
    """Parts add up to the window; each is within 2 mJ of exact fractions; none is negative."""
    shares = attribute(window(delta), arrays(steps), idle_power_mw=idle_mw)
    assert shares.attributed_mj + shares.idle_mj + shares.unattributed_mj == delta
    each = charged(shares)
    assert sum(one + two for one, two in each.values()) == shares.attributed_mj
    assert (
        min([shares.idle_mj, shares.unattributed_mj, *(min(pair) for pair in each.values())]) >= 0
    )
    exact = charge_oracle(steps, delta - shares.idle_mj)
    for request, value in exact.items():
        found = shares.unattributed_mj if request == -1 else sum(each.get(request, (0, 0)))
        assert abs(found - value) <= 2
    if exact:
        wanted = min(delta, round(min(idle_mw, delta) * idle_oracle(steps) / 1e9))
        assert abs(shares.idle_mj - wanted) <= 1


@given(st.lists(step, min_size=1, max_size=8), st.integers(0, 10**6), st.randoms())
def test_order_of_steps_does_not_matter(steps: list[Step], delta: int, random: object) -> None:
    """Steps and members in any order give each request the same millijoules."""
    mixed = [(*one[:3], sorted(one[3], key=lambda _: random.random())) for one in steps]  # type: ignore[attr-defined]
    random.shuffle(mixed)  # type: ignore[attr-defined]
    first = attribute(window(delta), arrays(steps), idle_power_mw=100)
    second = attribute(window(delta), arrays(mixed), idle_power_mw=100)
    assert charged(first) == charged(second)
    assert first.unattributed_mj == second.unattributed_mj


@given(st.lists(step, max_size=12), st.integers(1, 7), st.integers(0, 1 << 40))
def test_blocks_change_nothing(steps: list[Step], block: int, apart: int) -> None:
    """Weighed in blocks of a few members, each request has what a loop over members gives it."""
    wanted = [Counter[int]() for _ in range(3)]
    for start, length, busy, members in steps:
        inside = max(min(start + length, S) - max(start, 0), 0)
        part = inside / length if length else float(0 <= start < S)
        for request, decodes, weight in members:
            charge = busy * part * weight / sum(each for _, _, each in members)
            wanted[decodes][request * apart] += charge  # type: ignore[assignment]
            wanted[2][request * apart] += decodes * charge * len(members)  # type: ignore[assignment]
    made = arrays(steps)
    with mock.patch.object(attribution, "_BLOCK", block):
        loads = weigh(0, S, made._replace(request=made.request * apart))
    for sums, found in zip(wanted, (loads.prefill, loads.decode, loads.crowd), strict=True):
        assert found == pytest.approx([sums[one] for one in loads.request.tolist()])
        assert found.sum() == pytest.approx(sum(sums.values()))


def test_nothing_on_the_device_is_idle() -> None:
    """A window without a step is idle, all of it."""
    shares = attribute(window(70_000), arrays([]), idle_power_mw=70_000)
    assert (shares.idle_mj, shares.unattributed_mj, shares.attributed_mj) == (70_000, 0, 0)


def test_a_step_without_members_is_nobodys() -> None:
    """Warm-up and lost steps are unattributed, beside a request's step of the same weight."""
    steps: list[Step] = [(0, S // 2, 10, []), (S // 2, S // 2, 10, [(7, True, 1)])]
    shares = attribute(window(1000), arrays(steps))
    assert (shares.unattributed_mj, charged(shares)) == (500, {7: (0, 500)})


def test_foreign_work_is_nobodys() -> None:
    """Work without a journal takes its part by weight."""
    shares = attribute(window(900), arrays([(0, S, 10, [(7, False, 1)])]), foreign_busy=20)
    assert (shares.unattributed_mj, charged(shares)) == (600, {7: (300, 0)})


def test_a_step_across_windows_is_split_by_time() -> None:
    """A quarter of a step in a window counts for a quarter of its weight."""
    first: Step = (-3 * S // 4, S, 100, [(1, True, 1)])
    steps = [first, (S // 4, 3 * S // 4, 75, [(2, True, 1)])]
    assert charged(attribute(window(1000), arrays(steps))) == {1: (0, 250), 2: (0, 750)}


def test_steps_of_unknown_weight_are_nobodys() -> None:
    """Steps that were there with no weight at all leave their energy unattributed, not idle."""
    shares = attribute(window(1000), arrays([(0, S, 0, [(1, True, 1)])]))
    assert (shares.idle_mj, shares.unattributed_mj) == (0, 1000)


@pytest.mark.parametrize(("field", "value"), [("busy", -1.0), ("busy", np.nan), ("share", np.inf)])
def test_bad_weights_are_refused(field: str, value: float) -> None:
    """A weight that is negative or no number is an error that names it."""
    steps = arrays([(0, S, 10, [(1, True, 1)])])._replace(**{field: np.array([value])})
    with pytest.raises(ValueError, match=field):
        attribute(window(10), steps)


def test_a_step_that_ends_before_it_starts_is_refused() -> None:
    """So is a step whose time runs backwards."""
    with pytest.raises(ValueError, match="ends before"):
        attribute(window(10), arrays([(S, -5, 10, [(1, True, 1)])]))


@given(st.integers(0, 10**6), st.lists(st.integers(0, 1000), min_size=1, max_size=30), st.data())
def test_apportion(total: int, weights: list[int], data: st.DataObject) -> None:
    """Whole, complete, within one of exact, in the order of weights, and monotone."""
    if not sum(weights):
        weights[0] = 1
    array = np.array(weights, dtype=np.float64)
    shares = apportion(total, array)
    assert int(shares.sum()) == total
    assert all(abs(share - Fraction(total * w, sum(weights))) < 1 + 1e-5
               for share, w in zip(shares.tolist(), weights, strict=True))  # fmt: skip
    assert (np.diff(shares[np.argsort(array, kind="stable")]) >= -1).all()
    place = data.draw(st.integers(0, len(weights) - 1))
    array[place] += data.draw(st.integers(0, 1000))
    assert apportion(total, array)[place] >= shares[place]
