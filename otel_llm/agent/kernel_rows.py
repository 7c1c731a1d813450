"""Rows of a kernel ring to facts of steps. Pure functions over arrays; a ring is hostile input."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from otel_llm.clock import Anchor, MonotonicNs
from otel_llm.facts import Producer, StepKernels
from otel_llm.facts.joined import StepKernelSums
from otel_llm.kernels.analysis import Mask
from otel_llm.kernels.classes import classifier
from otel_llm.kernels.columns import UNKNOWN, Ints, Kernels
from otel_llm.kernels.records import KERNEL, MEMCPY, MEMSET
from otel_llm.kernels.sums import Origin, step_sums

Rows = npt.NDArray[np.void]
CUT_NS = MOST_KERNELS = (1 << 32) - 1
"""What a row says of a kernel that took 4.29 s or longer; and most kernels that a column holds."""
PAST_NS, AHEAD_NS = 2 * 3_600_000_000_000, 60_000_000_000
"""How far from the ring's clock reading a time is believed, in nanoseconds."""
MOST_TOTAL_NS = 1 << 53
"""Longest sum of durations of a row that is believed, a hundred days; many then fit 63 bits."""
MAX_SEQ = 1 << 62
"""Greatest number of a step that is believed: what is near it fits 63 bits too."""
SOURCE: Final = "cupti"
_AT_ONCE = 1 << 15
"""Kernels that are analysed at once, in whole steps: what fits a processor's cache."""
_MOST_NAMES = 8_193
"""Past the greatest id that a reader takes."""
_COPIES = {MEMCPY: "Memcpy", MEMSET: "Memset"}


class Setting(NamedTuple):
    """What turns a ring's rows into facts.

    Attributes:
        producer: the engine.
        anchor: clock reading for their times.
        offset_ns: CUPTI's time less this is monotonic.
        rank: the worker's rank; of the first of its devices.
        devices: names of devices, in the order of their numbers' first appearance.
        numbers: those numbers.
        names: kernel names by id.
    """

    producer: Producer
    anchor: Anchor
    offset_ns: int
    rank: int
    devices: list[str]
    numbers: list[int]
    names: dict[int, str]

    @property
    def origin(self) -> Origin:
        """The same for `otel_llm.kernels.sums`."""
        return Origin(self.producer, self.anchor, SOURCE, self.rank)

    def mono(self, stamp: int) -> MonotonicNs:
        """CUPTI's time on the host's monotonic clock."""
        return MonotonicNs(stamp - self.offset_ns)


def believed(rows: Rows, now_ns: int, *, raw: bool) -> Rows:
    """The rows that can be true: times near the ring's clock, kinds that are known, sums that fit.

    Args:
        rows: of a RAW or a STEPS frame.
        now_ns: CUPTI's clock at the ring's last clock reading.
        raw: of which.
    """
    start = rows["start_ns" if raw else "first_ns"]
    low, high = np.uint64(max(0, now_ns - PAST_NS)), np.uint64(now_ns + AHEAD_NS)
    fits = (start >= low) & (start <= high) & (rows["kind"] >= KERNEL) & (rows["kind"] <= MEMSET)
    if not raw:
        last = rows["last_ns"]
        fits &= (last >= start) & (last <= high) & (rows["count"] > 0)
        fits &= (rows["key"] <= np.uint64(MAX_SEQ)) & (rows["min_ns"] <= rows["max_ns"])
        fits &= rows["total_ns"] <= np.uint64(MOST_TOTAL_NS)
    return rows if fits.all() else rows[fits]


def is_whole(raw: Rows, sums: Rows) -> bool:
    """Whether the single kernels are all that the sums count, each with its true duration."""
    cut = len(raw) and int(raw["duration_ns"].max()) == CUT_NS
    return len(raw) == int(sums["count"].sum()) and not cut


def columns(parts: Sequence[tuple[int, Rows]], to: Setting) -> Kernels:
    """Single kernels of steps as columns, by monotonic time.

    Args:
        parts: steps' numbers and their rows.
        to: names and clock.
    """
    raw = together([rows for _, rows in parts])
    step = np.repeat(np.array([seq for seq, _ in parts], np.int64), [len(one) for _, one in parts])
    names, name = _named(raw, to.names)
    nothing = np.full(len(raw), UNKNOWN, np.int64)
    return Kernels(
        names, to.devices, step, name, raw["start_ns"].astype(np.int64) - to.offset_ns,
        raw["duration_ns"].astype(np.int64), device_index(raw, to.numbers),
        raw["stream"].astype(np.int64), raw["correlation"].astype(np.int64), nothing,
    )  # fmt: skip


def exact_sums(parts: Sequence[tuple[int, Rows]], to: Setting) -> list[StepKernelSums]:
    """One fact for each step and device, from every single kernel."""
    facts: list[StepKernelSums] = []
    batch: list[tuple[int, Rows]] = []
    held = 0
    for part in parts:
        batch.append(part)
        held += len(part[1])
        if held >= _AT_ONCE:
            facts += step_sums(columns(batch, to), to.origin)
            batch, held = [], 0
    return facts + (step_sums(columns(batch, to), to.origin) if batch else [])


def together(parts: Sequence[Rows]) -> Rows:
    """Rows one after the other. As bytes: field by field takes three times as long."""
    if len(parts) == 1:
        return parts[0]
    kind = parts[0].dtype
    whole: Rows = np.concatenate([one.view(f"V{kind.itemsize}") for one in parts]).view(kind)
    return whole


def bound_sums(seq: int, sums: Rows, to: Setting) -> list[StepKernelSums]:
    """One fact for each device of a step, from its sums by name: busy time is then a bound."""
    device = device_index(sums, to.numbers)
    return [_bound(seq, sums[device == one], one, to) for one in np.unique(device).tolist()]


def single(seq: int, raw: Rows, to: Setting) -> list[StepKernels]:
    """One fact for each device of a step, with its kernels one by one in order of start."""
    facts = []
    device = device_index(raw, to.numbers)
    for one in np.unique(device).tolist():
        ours = raw[device == one]
        ours = ours[np.argsort(ours["start_ns"], kind="stable")]
        names, index = _named(ours, to.names)
        base = int(ours["start_ns"][0])
        facts.append(
            StepKernels(
                seq=seq, source=SOURCE, device=to.devices[one], names=names,
                name_index=index.tolist(), base_ns=to.mono(base),
                offset_ns=(ours["start_ns"].astype(np.int64) - base).tolist(),
                duration_ns=ours["duration_ns"].tolist(),
            )
        )  # fmt: skip
    return facts


def named_sums(sums: Rows, names: dict[int, str]) -> tuple[list[str], Ints]:
    """Distinct names of rows, and for each row the index of its own."""
    return _named(sums, names)


def device_index(rows: Rows, numbers: list[int]) -> Ints:
    """For each row the place of its device's number among those known."""
    place = np.zeros(256, np.int64)
    place[numbers] = np.arange(len(numbers))
    index: Ints = place[rows["device"]]
    return index


def learn_devices(rows: Rows, numbers: list[int]) -> None:
    """Add the device numbers of rows to those known, in order of their first appearance."""
    device = rows["device"]
    if not len(device) or (device[0] in numbers and (device == device[0]).all()):
        return
    numbers += [number for number in np.unique(device).tolist() if number not in numbers]


def runs(rows: Rows, field: str) -> Iterator[tuple[int, Rows]]:
    """Neighbours of the same step, as views: its number, and the rows."""
    values = rows[field]
    cuts = (np.flatnonzero(values[1:] != values[:-1]) + 1).tolist()
    for begin, end in pairwise([0, *cuts, len(rows)]) if len(rows) else ():
        yield int(values[begin]), rows[begin:end]


def _bound(seq: int, sums: Rows, device: int, to: Setting) -> StepKernelSums:
    names, index = _named(sums, to.names)
    classes = np.array(classifier().all_of(names))[index]
    kinds = np.unique(classes)
    masks: list[Mask] = [classes == kind for kind in kinds]
    first = int(sums["first_ns"].min())
    span, total = int(sums["last_ns"].max()) - first, int(sums["total_ns"].sum())
    return StepKernelSums(
        producer=to.producer, anchor=to.anchor, rank=to.rank + device, seq=seq, source=SOURCE,
        device=to.devices[device], base_ns=to.mono(first), span_ns=span, busy_ns=min(span, total),
        launch_gap_ns=0, wait_gap_ns=0, overlap_ns=0, classes=kinds.tolist(),
        kernels=[min(int(sums["count"][mask].sum()), MOST_KERNELS) for mask in masks],
        kernel_ns=[int(sums["total_ns"][mask].sum()) for mask in masks], bound=True,
    )  # fmt: skip


def _named(rows: Rows, names: dict[int, str]) -> tuple[list[str], Ints]:
    """Copies and fills have no name of their own; a kernel's that the budget left out is empty.

    Ids are small, so that a table of all there are takes the place of sorting.
    """
    number = np.minimum(rows["name"], _MOST_NAMES).astype(np.int64)
    key = number * 4 + np.where(number == 0, rows["kind"], KERNEL)
    place = np.zeros(4 * (_MOST_NAMES + 1), np.int64)
    place[key] = 1
    known: dict[str, int] = {}
    for one in np.flatnonzero(place).tolist():
        text = _COPIES.get(one % 4, "") if one < 4 else names.get(one // 4, "")
        place[one] = known.setdefault(text, len(known))
    return list(known), place[key]
