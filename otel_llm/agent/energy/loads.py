"""What steps and their members should take, and what that weighs on a device, by window."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from otel_llm.agent.energy.busy import Busy
from otel_llm.agent.energy.flat import Flat, Parted, members
from otel_llm.energy.attribution import Loads, Steps, combined, inside, weigh
from otel_llm.energy.models import tokens, work
from otel_llm.energy.rounding import Floats
from otel_llm.energy.shape import DevicePeak
from otel_llm.facts.energy import BUSY, SHARED, Shared
from otel_llm.facts.energy import Busy as Source
from otel_llm.facts.shape import ServedShape

MOST_WINDOWS = 128
"""Windows open at once on a device; of a step that claims to last longer the last of them count."""


class Basis(NamedTuple):
    """What the model of work reckons with on a device; without it shares go by tokens."""

    shape: ServedShape
    peak: DevicePeak


class Open(NamedTuple):
    """What is known of a window that is not closed: loads, and how they came about.

    Attributes:
        loads: in joules that should be drawn if shared by `work`, else in nanoseconds.
        sharing: how steps share; the weakest.
        busy: where their busy time comes from; the weakest.
        instances: engines with a step in it.
        busy_ns: busy time of the steps.
    """

    loads: Loads
    sharing: Shared
    busy: Source
    instances: frozenset[str]
    busy_ns: float = 0.0


def parted(flat: Flat, basis: Basis | None) -> Parted:
    """Shares of members and energy of steps.

    Engine by engine: the numbers of all engines' members are more than a processor's cache holds.

    Args:
        flat: an engine's steps.
        basis: what work is reckoned with; tokens if None.
    """
    everyone, dynamic = members(flat), np.zeros(len(flat.counts))
    if not len(everyone.first):
        return Parted(np.zeros(0), dynamic)
    if basis is None:
        return Parted(tokens(everyone), dynamic)
    done = work(everyone, *basis)
    joules = done.flops * basis.peak.pj_per_flop + done.bytes * basis.peak.pj_per_byte
    dynamic[flat.counts > 0] = joules * 1e-12
    return Parted(done.shares, dynamic)


def by_window(
    flat: Flat,
    part: Parted,
    basis: Basis | None,
    device: str,
    span: tuple[int, int, int],
    measured: Busy,
) -> dict[int, Open]:
    """What an engine's steps weigh on one of its devices, by number of the window.

    Args:
        flat: the steps.
        part: what they take.
        basis: what that was reckoned with.
        device: id of the device.
        span: where open windows begin and end, and the length of one, in nanoseconds.
        measured: busy times that CUPTI and CUDA events told.
    """
    if not len(flat.start_ns):
        return {}
    lengths = (flat.end_ns - flat.start_ns).astype(np.float64)
    busy_ns, source = measured.times(flat.engine, flat.timed, device, lengths)
    weight = busy_ns if basis is None else _joules(flat, part, basis, busy_ns)
    steps = Steps(
        flat.start_ns, flat.end_ns, weight, flat.counts > 0, flat.counts, flat.request,
        flat.decode, part.share,
    )  # fmt: skip
    sharing: Shared = "tokens" if basis is None else "work"
    engine = frozenset([flat.engine.instance_id])
    found = {}
    for number, some, rows in _cut(steps, span):
        begin, finish = number * span[2], (number + 1) * span[2]
        loads = weigh(begin, finish, some)
        if len(loads.start_ns):
            inner_ns = float((busy_ns[rows] * inside(begin, finish, some)).sum())
            found[number] = Open(loads, sharing, source, engine, inner_ns)
    return found


def joined(opens: Sequence[Open]) -> Open:
    """Several engines' loads of one window, or one's in parts, as one.

    Where not all are shared by `work`, engines share by busy time, and work counts within each.
    """
    if not opens:
        empty = np.zeros(0, dtype=np.int64)
        none = np.zeros(0)
        return Open(Loads(empty, none, none, none, 0.0, empty, empty), "work", "kernels",
                    frozenset())  # fmt: skip
    if len(opens) == 1:
        return opens[0]
    mixed = len({one.sharing == "work" for one in opens}) > 1
    return Open(
        combined([_by_time(one) if mixed else one.loads for one in opens]),
        max((one.sharing for one in opens), key=SHARED.index),
        max((one.busy for one in opens), key=BUSY.index),
        frozenset().union(*(one.instances for one in opens)),
        sum(one.busy_ns for one in opens),
    )


def _by_time(one: Open) -> Loads:
    """Its loads in nanoseconds, adding up to its busy time."""
    loads = one.loads
    whole = float(loads.prefill.sum() + loads.decode.sum()) + loads.nobody
    if one.sharing != "work" or whole <= 0:
        return loads
    scale = one.busy_ns / whole
    return loads._replace(
        prefill=loads.prefill * scale, decode=loads.decode * scale, crowd=loads.crowd * scale,
        nobody=loads.nobody * scale,
    )  # fmt: skip


def _joules(flat: Flat, part: Parted, basis: Basis, busy_ns: Floats) -> Floats:
    """Weight of each step by work: what it should draw, in joules."""
    producer = flat.engine.producer
    ways = max(producer.ranks, len(producer.devices), 1)
    dynamic, known = part.dynamic_j / ways, flat.counts > 0
    if known.any() and not known.all():
        # Nobody knows what was in these: as much for their time as in the others.
        rate = dynamic[known].sum() / max(busy_ns[known].sum(), 1.0)
        dynamic = np.where(known, dynamic, rate * busy_ns)
    static: Floats = basis.peak.static_w * busy_ns / 1e9
    return static + dynamic


def _cut(steps: Steps, span: tuple[int, int, int]) -> Iterator[tuple[int, Steps, slice]]:
    """The steps that touch each window, by its number, and which they are. Both ends rise."""
    begin_ns, finish_ns, length = span
    first = max(int(steps.start_ns[0]), begin_ns) // length
    last = min(int(steps.end_ns[-1]), finish_ns) // length
    place = np.append(0, np.cumsum(steps.members))
    for number in range(max(first, last - MOST_WINDOWS), last + 1):
        low = int(np.searchsorted(steps.end_ns, number * length))
        high = int(np.searchsorted(steps.start_ns, (number + 1) * length))
        if high <= low:
            continue
        some, inner = slice(low, high), slice(int(place[low]), int(place[high]))
        yield number, Steps(
            steps.start_ns[some], steps.end_ns[some], steps.busy[some], steps.known[some],
            steps.members[some], steps.request[inner], steps.decode[inner], steps.share[inner],
        ), some  # fmt: skip
