"""One device, one window: its energy shared out, in whole millijoules that add up.

    delta = attributed + idle + unattributed

Idle is energy drawn while no step of any engine was on the device. The rest is shared by the steps,
by time on the device times what a step should draw, and within a step by its members' shares.
Fractions are added up per request and phase before they are rounded, once.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from otel_llm.energy.meter import Window
from otel_llm.energy.rounding import Floats, Ints, apportion
from otel_llm.facts.energy import Shared

MODEL_ERROR: dict[Shared, float] = {"tokens": 1.0, "busy": 0.25, "work": 0.08, "shapley": 0.08}
"""Bound of what a model gets wrong, as a part; `make prove-energy` says how often it holds."""

SHORT_ERROR = 0.1
"""Added for a request of few windows: a window has one mean power, which need not be its own."""

_BLOCK = 49_152
"""Members reckoned at once."""


class Steps(NamedTuple):
    """The steps of all engines on a device that touch a window, and who was in them.

    Attributes:
        start_ns, end_ns: shape (steps,); on the device, in monotonic nanoseconds.
        busy: shape (steps,); weight of the whole step: busy time on the device in nanoseconds,
            times the power it should draw where a model tells. At least 0.
        known: shape (steps,), bool; its members are requests. False for warm-up, dummy batches and
            steps whose batch was lost: their energy is nobody's.
        members: shape (steps,); how many of the arrays below are each step's, in order; 0 where
            `known` is False.
        request: shape (members,); a number that is one request's alone, at least 0.
        decode: shape (members,), bool; in decode rather than prefill.
        share: shape (members,); part of the step, adding up to 1 in each.
    """

    start_ns: Ints
    end_ns: Ints
    busy: Floats
    known: np.typing.NDArray[np.bool_]
    members: Ints
    request: Ints
    decode: np.typing.NDArray[np.bool_]
    share: Floats


class Loads(NamedTuple):
    """What steps weigh in a stretch of time. Loads of parts of it add up.

    Attributes:
        request: shape (requests,); rising.
        prefill, decode: shape (requests,); weight of each, as `Steps.busy` times its shares.
        crowd: shape (requests,); weight in decode times members of the step.
        nobody: weight of steps whose members are not known.
        start_ns, end_ns: shape (intervals,); when a step was on the device; rising, disjoint.
    """

    request: Ints
    prefill: Floats
    decode: Floats
    crowd: Floats
    nobody: float
    start_ns: Ints
    end_ns: Ints


class Shares(NamedTuple):
    """A window's energy, shared out. Arrays have one entry per request, by rising number.

    Attributes:
        window: what was shared.
        attributed_mj, idle_mj, unattributed_mj: adding up to the window's energy.
        request: shape (requests,).
        prefill_mj, decode_mj: shape (requests,); what each is charged, adding up to the attributed.
        meter_error_mj: shape (requests,); each one's part of the window's own bound.
        device_ns: shape (requests,); each one's part of the time with a step on the device.
        batch: shape (requests,); members of its steps in decode, by weight; 0 without any.
    """

    window: Window
    attributed_mj: int
    idle_mj: int
    unattributed_mj: int
    request: Ints
    prefill_mj: Ints
    decode_mj: Ints
    meter_error_mj: Floats
    device_ns: Ints
    batch: Floats


def attribute(
    window: Window, steps: Steps, *, idle_power_mw: float | None = None, foreign_busy: float = 0.0
) -> Shares:
    """Share a window out among the steps that touch it: `weigh` and `share_out` in one.

    Raises:
        ValueError: as both.
    """
    loads = weigh(window.start_ns, window.end_ns, steps)
    return share_out(window, loads, idle_power_mw=idle_power_mw, foreign_busy=foreign_busy)


def weigh(begin_ns: int, finish_ns: int, steps: Steps) -> Loads:
    """What steps weigh between two moments.

    Args:
        begin_ns: in monotonic nanoseconds.
        finish_ns: likewise, later.
        steps: all that touch the time between; the part of a step inside counts. They may overlap.

    Raises:
        ValueError: arrays do not fit together, a step ends before it starts, or a weight or share
            is negative or not a number.
    """
    _check(steps)
    part = inside(begin_ns, finish_ns, steps)
    weights = np.where(part > 0, steps.busy, 0.0) * part
    nobody = float(weights[~steps.known | (steps.members == 0)].sum())
    request, place = _places(steps.request)
    prefill, decode, crowd = _by_request(steps, weights, place, len(request))
    seen, there = prefill + decode > 0, part > 0
    start_ns, end_ns = _covered(begin_ns, finish_ns, steps.start_ns[there], steps.end_ns[there])
    return Loads(request[seen], prefill[seen], decode[seen], crowd[seen], nobody, start_ns, end_ns)


def combined(loads: Sequence[Loads]) -> Loads:
    """Several loads as one."""
    if len(loads) == 1:
        return loads[0]
    empty = np.zeros(0, dtype=np.int64)
    request, place = np.unique(
        np.concatenate([empty, *(one.request for one in loads)]), return_inverse=True
    )
    prefill, decode, crowd = (
        _summed(
            place,
            np.concatenate([np.zeros(0), *(getattr(one, name) for one in loads)]),
            len(request),
        )
        for name in ("prefill", "decode", "crowd")
    )
    start_ns, end_ns = _union(
        np.concatenate([empty, *(one.start_ns for one in loads)]),
        np.concatenate([empty, *(one.end_ns for one in loads)]),
    )
    nobody = sum(one.nobody for one in loads)
    return Loads(request, prefill, decode, crowd, nobody, start_ns, end_ns)


def share_out(
    window: Window, loads: Loads, *, idle_power_mw: float | None = None, foreign_busy: float = 0.0
) -> Shares:
    """Share a window out by what steps weighed in it.

    Args:
        window: the device's energy.
        loads: of its time.
        idle_power_mw: what the device draws with nothing on it, in milliwatts; None takes the
            window's mean, which charges too much to idle.
        foreign_busy: weight of work on the device that no journal tells of, as `Steps.busy`.

    Raises:
        ValueError: `foreign_busy` is negative or not a number.
    """
    if not foreign_busy >= 0:
        message = "foreign_busy is negative or not a number"
        raise ValueError(message)
    covered = covered_ns(window, loads)
    bins = np.concatenate([loads.prefill, loads.decode, [loads.nobody + foreign_busy]])
    working = float(bins.sum())
    idle_mj = window.delta_mj
    # Steps without weight: nobody knows how busy they were, and none is charged before others.
    if working > 0 or len(loads.start_ns):
        idle_ns = window.end_ns - window.start_ns - covered
        idle_mj = _idle(window, idle_ns, idle_power_mw)
    if working <= 0:
        bins[-1] = working = 1.0
    active_mj, count = window.delta_mj - idle_mj, len(loads.request)
    whole = apportion(active_mj, bins)
    unattributed = int(whole[-1])
    prefill, decode = whole[:count], whole[count : 2 * count]
    mine = (loads.prefill + loads.decode) / working
    return Shares(
        window,
        active_mj - unattributed,
        idle_mj,
        unattributed,
        loads.request,
        prefill,
        decode,
        window.error_mj * (prefill + decode) / max(window.delta_mj, 1),
        (mine * covered).astype(np.int64),
        np.divide(loads.crowd, loads.decode, out=np.zeros(count), where=loads.decode > 0),
    )


def _by_request(
    steps: Steps, weights: Floats, place: Ints, count: int
) -> tuple[Floats, Floats, Floats]:
    """Weights of requests in prefill, in decode, and in decode times members of the step.

    Block by block: memory that is new takes longer than what is reckoned in it.
    """
    charges, crowds = np.zeros(2 * count), np.zeros(2 * count)
    ends = np.append(0, np.cumsum(steps.members))
    marks = np.searchsorted(ends, np.arange(0, len(place), max(_BLOCK, count)))
    for low, high in pairwise([*np.unique(marks).tolist(), len(steps.members)]):
        some, inner = slice(low, high), slice(int(ends[low]), int(ends[high]))
        members = steps.members[some]
        slot = place[inner] + count * steps.decode[inner]
        charge = np.repeat(weights[some], members)
        charge *= steps.share[inner]
        charges += _summed(slot, charge, 2 * count)
        charge *= np.repeat(members.astype(np.float64), members)
        crowds += _summed(slot, charge, 2 * count)
    return charges[:count], charges[count:], crowds[count:]


def _summed(place: Ints, weights: Floats, count: int) -> Floats:
    """Weights by place; shape (count,)."""
    return np.bincount(place, weights=weights, minlength=count).astype(np.float64, copy=False)


def covered_ns(window: Window, loads: Loads) -> int:
    """Time of a window with a step on the device, in nanoseconds; overlaps count once."""
    inner_ns = np.minimum(loads.end_ns, window.end_ns) - np.maximum(loads.start_ns, window.start_ns)
    return int(np.maximum(inner_ns, 0).sum())


def _covered(begin_ns: int, finish_ns: int, start_ns: Ints, end_ns: Ints) -> tuple[Ints, Ints]:
    """Intervals that touch what lies between two moments, cut to it, as disjoint ones."""
    return _union(np.maximum(start_ns, begin_ns), np.minimum(end_ns, finish_ns))


def _union(start: Ints, end: Ints) -> tuple[Ints, Ints]:
    if not len(start):
        return start, end
    order = np.argsort(start, kind="stable")
    start, end = start[order], np.maximum.accumulate(end[order])
    new = np.concatenate([[True], start[1:] > end[:-1]])
    return start[new], end[np.append(new[1:], True)]


def inside(begin_ns: int, finish_ns: int, steps: Steps) -> Floats:
    """Part of each step's time between two moments; a step without length lies in one window."""
    begin = np.maximum(steps.start_ns, begin_ns)
    finish = np.minimum(steps.end_ns, finish_ns)
    length = steps.end_ns - steps.start_ns
    point = (length == 0) & (steps.start_ns >= begin_ns) & (steps.start_ns < finish_ns)
    inside = np.maximum(finish - begin, 0)
    parts = np.divide(inside, length, out=np.zeros(len(length)), where=length > 0)
    return np.where(point, 1.0, parts)


def _idle(window: Window, idle_ns: int, power_mw: float | None) -> int:
    span = window.end_ns - window.start_ns
    mean = window.delta_mj * 1e9 / span
    rate = mean if power_mw is None else min(power_mw, mean)
    return min(window.delta_mj, round(rate * idle_ns / 1e9))


def _places(request: Ints) -> tuple[Ints, Ints]:
    """Distinct numbers, rising, and where each entry's stands; without a sort if they are dense."""
    if len(request):
        low, high = int(request.min()), int(request.max())
        if high - low < 4 * len(request):
            return np.arange(low, high + 1), request - low
    distinct, place = np.unique(request, return_inverse=True)
    return distinct, place


def _check(steps: Steps) -> None:
    count, members = len(steps.start_ns), len(steps.request)
    lengths = {len(array) for array in (steps.end_ns, steps.busy, steps.known, steps.members)}
    inner = {len(steps.decode), len(steps.share), int(steps.members.sum()) if count else 0}
    problems = {
        "its arrays differ in length": lengths != {count} or inner != {members},
        "a step ends before it starts": bool((steps.end_ns < steps.start_ns).any()),
        "busy is negative or not a number": not _weights(steps.busy),
        "share is negative or not a number": not _weights(steps.share),
        "a step that is not known has members": bool(steps.members[~steps.known].any()),
    }
    for problem, found in problems.items():
        if found:
            message = f"steps: {problem}"
            raise ValueError(message)


def _weights(array: Floats) -> bool:
    return bool(array.min(initial=0.0) >= 0 and array.max(initial=0.0) < np.inf)
