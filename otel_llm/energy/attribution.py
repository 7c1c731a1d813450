"""One device, one window: its energy shared out, in whole millijoules that add up.

    delta = attributed + idle + unattributed

Idle is energy drawn while no step of any engine was on the device. The rest is shared by the steps,
by time on the device times what a step should draw, and within a step by its members' shares.
Fractions are added up per request and phase before they are rounded, once.
"""

from typing import Literal, NamedTuple

import numpy as np

from otel_llm.energy.meter import Window
from otel_llm.energy.models import Sharing
from otel_llm.energy.rounding import Floats, Ints, apportion

BusySource = Literal["kernels", "cuda_events", "step_time"]

MODEL_ERROR: dict[Sharing, float] = {"tokens": 1.0, "work": 0.08, "shapley": 0.08}
"""Bound of what a model gets wrong, as a part; `make prove-energy` says how often it holds."""

SHORT_ERROR = 0.1
"""Added for a request of few windows: a window has one mean power, which need not be its own."""


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


class Shares(NamedTuple):
    """A window's energy, shared out. Arrays have one entry per request, by rising number.

    Attributes:
        window: what was shared.
        attributed_mj, idle_mj, unattributed_mj: adding up to the window's energy.
        request: shape (requests,).
        prefill_mj, decode_mj: shape (requests,); what each is charged, adding up to the attributed.
        meter_error_mj: shape (requests,); each one's part of the window's own bound.
        active_ns: shape (requests,); time with a step of it on the device in this window.
    """

    window: Window
    attributed_mj: int
    idle_mj: int
    unattributed_mj: int
    request: Ints
    prefill_mj: Ints
    decode_mj: Ints
    meter_error_mj: Floats
    active_ns: Ints


def attribute(
    window: Window, steps: Steps, *, idle_power_mw: float | None = None, foreign_busy: float = 0.0
) -> Shares:
    """Share a window out.

    Args:
        window: the device's energy.
        steps: all that touch the window; the part of a step inside it counts. They may overlap.
        idle_power_mw: what the device draws with nothing on it, in milliwatts; None takes the
            window's mean, which charges too much to idle.
        foreign_busy: weight of work on the device that no journal tells of, as `Steps.busy`.

    Raises:
        ValueError: arrays do not fit together, a step ends before it starts, or a weight or share
            is negative or not a number.
    """
    _check(steps, foreign_busy)
    part = _inside(window, steps)
    idle_ns = window.end_ns - window.start_ns - covered_ns(window, steps.start_ns, steps.end_ns)
    weights = np.where(part > 0, steps.busy, 0.0) * part
    working = float(weights.sum()) + foreign_busy
    idle_mj = _idle(window, idle_ns, idle_power_mw) if working > 0 else window.delta_mj
    if working <= 0 and (part > 0).any():
        # Steps were there but nobody knows how busy: no reason to charge one rather than another.
        idle_mj = _idle(window, idle_ns, idle_power_mw)
    return _shares(window, steps, part, weights, foreign_busy, idle_mj)


def covered_ns(window: Window, start_ns: Ints, end_ns: Ints) -> int:
    """Time of a window with a step on the device, in nanoseconds; overlaps count once."""
    if not len(start_ns):
        return 0
    start = np.clip(start_ns, window.start_ns, window.end_ns)
    end = np.clip(end_ns, window.start_ns, window.end_ns)
    order = np.argsort(start, kind="stable")
    start, end = start[order], np.maximum.accumulate(end[order])
    new = start[1:] > end[:-1]
    return int(end[-1] - start[0] - (start[1:] - end[:-1])[new].sum())


def _inside(window: Window, steps: Steps) -> Floats:
    """Part of each step's time that lies in the window; a step without length lies in one."""
    begin = np.maximum(steps.start_ns, window.start_ns)
    finish = np.minimum(steps.end_ns, window.end_ns)
    length = steps.end_ns - steps.start_ns
    point = (length == 0) & (steps.start_ns >= window.start_ns) & (steps.start_ns < window.end_ns)
    inside = np.maximum(finish - begin, 0)
    parts = np.divide(inside, length, out=np.zeros(len(length)), where=length > 0)
    return np.where(point, 1.0, parts)


def _idle(window: Window, idle_ns: int, power_mw: float | None) -> int:
    span = window.end_ns - window.start_ns
    mean = window.delta_mj * 1e9 / span
    rate = mean if power_mw is None else min(power_mw, mean)
    return min(window.delta_mj, round(rate * idle_ns / 1e9))


def _shares(
    window: Window, steps: Steps, part: Floats, weights: Floats, foreign: float, idle_mj: int
) -> Shares:
    known = steps.known & (steps.members > 0)
    nobody = float(weights[~known].sum()) + foreign
    request, place = _places(steps.request)
    count = len(request)
    charge = np.repeat(weights, steps.members) * steps.share
    slot = place + count * steps.decode
    sums = np.bincount(slot, weights=charge, minlength=2 * count)
    active_mj = window.delta_mj - idle_mj
    bins = np.append(sums, nobody)
    if bins.sum() <= 0:
        bins[-1] = 1.0
    whole = apportion(active_mj, bins)
    prefill, decode = whole[:count], whole[count : 2 * count]
    unattributed = int(whole[-1])
    span = part * (steps.end_ns - steps.start_ns)
    # A step without length counts as one nanosecond, so that its members are seen.
    span = np.where(part > 0, np.maximum(span, 1.0), 0.0)
    time = np.bincount(place, weights=np.repeat(span, steps.members), minlength=count)
    active, seen = time.astype(np.int64), time > 0
    mine = (prefill + decode) / max(window.delta_mj, 1)
    return Shares(
        window,
        active_mj - unattributed,
        idle_mj,
        unattributed,
        request[seen],
        prefill[seen],
        decode[seen],
        (window.error_mj * mine)[seen],
        active[seen],
    )


def _places(request: Ints) -> tuple[Ints, Ints]:
    """Distinct numbers, rising, and where each entry's stands; without a sort if they are dense."""
    if len(request):
        low, high = int(request.min()), int(request.max())
        if high - low < 4 * len(request):
            return np.arange(low, high + 1), request - low
    distinct, place = np.unique(request, return_inverse=True)
    return distinct, place


def _check(steps: Steps, foreign: float) -> None:
    count, members = len(steps.start_ns), len(steps.request)
    lengths = {len(array) for array in (steps.end_ns, steps.busy, steps.known, steps.members)}
    inner = {len(steps.decode), len(steps.share), int(steps.members.sum()) if count else 0}
    problems = {
        "its arrays differ in length": lengths != {count} or inner != {members},
        "a step ends before it starts": bool((steps.end_ns < steps.start_ns).any()),
        "busy is negative or not a number": not _weights(steps.busy) or not foreign >= 0,
        "share is negative or not a number": not _weights(steps.share),
        "a step that is not known has members": bool(steps.members[~steps.known].any()),
    }
    for problem, found in problems.items():
        if found:
            message = f"steps: {problem}"
            raise ValueError(message)


def _weights(array: Floats) -> bool:
    return bool(np.isfinite(array).all() and (array >= 0).all())
