"""What a step's kernels add up to: busy time, gaps, overlap, sums by class.

A step on one device is a group. Times are nanoseconds, intervals are closed at their start and
open at their end. Everything is sorted once and then done on whole arrays; no sum of two stamps is
formed, so that stamps up to 2**62 are safe.

Gaps. Where no kernel of the group runs between its first start and its last end, the device is
idle. Each such gap ends with the start of a kernel. The part of a gap in which none of the kernels
still to run had been launched is launch-bound: the host was late. The rest is waiting: something
was launched and did not run, because of a dependency, a copy or the device itself. Where the
launch of the kernel that ends the gap is not known, the gap is counted as neither.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from otel_llm.kernels.classes import COLLECTIVE, COPIES
from otel_llm.kernels.columns import UNKNOWN, Ints, Kernels

Mask = npt.NDArray[np.bool_]
Places = npt.NDArray[np.intp]


class Steps(NamedTuple):
    """The groups, ordered by step and device. Each array but the last three has shape (groups,).

    Attributes:
        step: number of the step.
        device: index into the kernels' devices.
        start_ns: its first kernel began.
        span_ns: from there to the end of its last kernel.
        busy_ns: of that, with a kernel running.
        launch_gap_ns: of that, idle because nothing was launched yet.
        wait_gap_ns: of that, idle although something was launched.
        overlap_ns: of that, with a collective and another kernel (no copy) running at once.
        first: shape (groups + 1,); where each group's entries in the next three begin.
        kind: shape (entries,); index into the classes.
        kernels: shape (entries,); kernels of this class in the group.
        kernel_ns: shape (entries,); their durations, summed.
    """

    step: Ints
    device: Ints
    start_ns: Ints
    span_ns: Ints
    busy_ns: Ints
    launch_gap_ns: Ints
    wait_gap_ns: Ints
    overlap_ns: Ints
    first: Ints
    kind: Ints
    kernels: Ints
    kernel_ns: Ints


def analyse(kernels: Kernels, class_of: Ints, classes: Sequence[str]) -> Steps:
    """Sum up kernels by step and device.

    Args:
        kernels: in any order.
        class_of: shape (names,); index into `classes` of each distinct name.
        classes: names of the classes.
    """
    order = np.lexsort((kernels.start_ns, kernels.device, kernels.step))
    ours = kernels.take(order)
    group, begins = _groups(ours.step, ours.device)
    kind = class_of[ours.name] if len(ours) else ours.name
    ends = ours.start_ns + ours.duration_ns
    latest = _running(ends, group, np.maximum)
    start = ours.start_ns[begins]
    span = latest[_lasts(begins, len(ours))] - start if len(ours) else start
    launch_gap, wait_gap, idle = _gaps(ours, group, latest, len(begins))
    first, kinds, counts, sums = _by_class(group, kind, ours.duration_ns, len(begins), len(classes))
    return Steps(
        step=ours.step[begins],
        device=ours.device[begins],
        start_ns=start,
        span_ns=span,
        busy_ns=span - idle,
        launch_gap_ns=launch_gap,
        wait_gap_ns=wait_gap,
        overlap_ns=_overlap(ours, ends, group, kind, classes, len(begins)),
        first=first,
        kind=kinds,
        kernels=counts,
        kernel_ns=sums,
    )


def _groups(*keys: Ints) -> tuple[Ints, Places]:
    """Number of the group of each element of sorted keys, and where each group begins."""
    new = np.zeros(len(keys[0]), bool)
    new[:1] = True
    for key in keys:
        new[1:] |= key[1:] != key[:-1]
    return np.cumsum(new) - 1, np.flatnonzero(new)


def _lasts(begins: Places, count: int) -> Places:
    """Where each group ends, its last element."""
    return np.append(begins[1:], count) - 1


def _running(values: Ints, group: Ints, fold: "np.ufunc") -> Ints:
    """The greatest (or least) value so far within each group.

    Ranks in place of values leave room for the group's number in one integer, whatever the values.
    """
    if not len(values):
        return values
    order = np.argsort(values, kind="stable")
    rank = np.empty(len(values), np.int64)
    rank[order] = np.arange(len(values))
    # A least one must not see the group before it, so its groups count down.
    base = (group if fold is np.maximum else group[-1] - group) * len(values)
    best = fold.accumulate(base + rank) - base
    return values[order[best]]


def _gaps(kernels: Kernels, group: Ints, latest: Ints, groups: int) -> tuple[Ints, Ints, Ints]:
    """Launch-bound, waiting and all idle time of each group."""
    if not len(kernels):
        return (np.zeros(0, np.int64),) * 3
    before, begin = latest[:-1], kernels.start_ns[1:]
    place = np.flatnonzero((begin > before) & (group[1:] == group[:-1]))
    gap = begin[place] - before[place]
    known = kernels.launch_ns != UNKNOWN
    # The earliest launch among the kernels still to run; those not known cannot be the earliest.
    launch = np.where(known, kernels.launch_ns, kernels.start_ns)
    waiting_since = _running(launch[::-1], group[-1] - group[::-1], np.minimum)[::-1]
    late = np.clip(waiting_since[place + 1], before[place], begin[place]) - before[place]
    told = known[place + 1]
    where = group[place]
    return (
        _sum(where, np.where(told, late, 0), groups),
        _sum(where, np.where(told, gap - late, 0), groups),
        _sum(where, gap, groups),
    )


def _sum(group: Ints, values: Ints, groups: int) -> Ints:
    """Sums by group, in integers."""
    total = np.zeros(groups, np.int64)
    np.add.at(total, group, values)
    return total


def _overlap(
    kernels: Kernels, ends: Ints, group: Ints, kind: Ints, classes: Sequence[str], groups: int
) -> Ints:
    """Time with a collective and another kernel at once: what both cover, less what either does."""
    communicates = np.array([name == COLLECTIVE for name in classes], bool)[kind]
    computes = np.array([name != COLLECTIVE and name not in COPIES for name in classes], bool)[kind]
    if not communicates.any():
        return np.zeros(groups, np.int64)

    def covered(which: Mask) -> Ints:
        return _covered(kernels.start_ns[which], ends[which], group[which], groups)

    return covered(communicates) + covered(computes) - covered(communicates | computes)


def _covered(starts: Ints, ends: Ints, group: Ints, groups: int) -> Ints:
    """Length of the union of each group's intervals, given by start within their groups."""
    if not len(starts):
        return np.zeros(groups, np.int64)
    latest = _running(ends, group, np.maximum)
    fresh = ends - starts
    same = group[1:] == group[:-1]
    before = np.where(same, latest[:-1], starts[1:])
    fresh[1:] = np.maximum(0, ends[1:] - np.maximum(starts[1:], before))
    return _sum(group, fresh, groups)


def _by_class(
    group: Ints, kind: Ints, duration: Ints, groups: int, classes: int
) -> tuple[Ints, Ints, Ints, Ints]:
    """Where each group's entries begin, and for each entry its class, kernels and their time."""
    key, place, counts = np.unique(
        group * max(1, classes) + kind, return_inverse=True, return_counts=True
    )
    sums = _sum(place.reshape(-1), duration, len(key))
    first = np.searchsorted(key // max(1, classes), np.arange(groups + 1))
    return first.astype(np.int64), key % max(1, classes), counts.astype(np.int64), sums
