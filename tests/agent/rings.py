"""Frames of a kernel ring for tests, as a shim would write them."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from otel_llm.agent.kernel_join import KernelJoin
from otel_llm.facts.joined import Joined, JoinedKernels, KernelTotals, StepKernelSums
from otel_llm.journal.reader import Cursor
from otel_llm.kernels import records
from otel_llm.kernels.reader import Frame, KernelProducer
from otel_llm.kernels.whose import Whose
from tests.agent.builders import ENGINE_ID, WALL_NS, anchor

RING_ID = "c" * 32
RING = KernelProducer(RING_ID, "boot-1", 1, "node-7", "libcupti.so.13", 130500)
WHOSE = Whose(
    engine=ENGINE_ID, dp_rank=3, rank=2, device="GPU-1", software="reference", version="0.1",
    model="tiny", service="chat-prod",
)  # fmt: skip
NAMES = {0: "", 1: "a_gemm_kernel", 2: "ncclDevKernel_AllReduce", 3: "flash_fwd_kernel"}


class Kernel(NamedTuple):
    """A kernel: step, start in nanoseconds after T0, duration, name, device and kind."""

    step: int
    start: int
    duration: int = 100
    name: int = 1
    device: int = 0
    kind: int = records.KERNEL


class Shim:
    """Makes frames, numbered as a ring numbers them."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []

    def raw(self, kernels: Sequence[Kernel]) -> None:
        """Single rows."""
        rows = np.zeros(len(kernels), np.dtype(records.RAW_FIELDS))
        for row, one in zip(rows, kernels, strict=True):
            row["start_ns"], row["duration_ns"] = WALL_NS + one.start, min(one.duration, 2**32 - 1)
            row["step"], row["name"] = one.step & 0xFFFFFFFF, one.name
            row["device"], row["kind"] = one.device, one.kind
        self.add(records.RAW, rows.tobytes())

    def sums(self, kernels: Sequence[Kernel]) -> None:
        """Rows that add the same kernels up."""
        groups: defaultdict[tuple[int, ...], list[Kernel]] = defaultdict(list)
        for one in kernels:
            groups[one.step, one.name, one.device, one.kind].append(one)
        rows = np.zeros(len(groups), np.dtype(records.AGGREGATE_FIELDS))
        for row, ((step, name, device, kind), ours) in zip(rows, groups.items(), strict=True):
            took = [min(one.duration, 2**32 - 1) for one in ours]
            row["key"], row["name"], row["device"], row["kind"] = step, name, device, kind
            row["count"], row["total_ns"] = len(ours), sum(one.duration for one in ours)
            row["min_ns"], row["max_ns"] = min(took), max(took)
            row["first_ns"] = WALL_NS + min(one.start for one in ours)
            row["last_ns"] = WALL_NS + max(one.start + one.duration for one in ours)
        self.add(records.STEPS, rows.tobytes())

    def flush(self, *kernels: Kernel) -> None:
        """Both."""
        self.raw(kernels)
        self.sums(kernels)

    def anchor(self, milliseconds: float = 0, cupti_ns: int = 0) -> None:
        """A clock reading."""
        now = anchor(milliseconds)
        numbers = np.array([now.wall_ns, now.mono_ns, now.error_ns, cupti_ns], np.int64)
        self.add(records.ANCHOR, numbers.tobytes())

    def identity(self, whose: Whose = WHOSE) -> None:
        """Whose kernels follow."""
        self.add(records.IDENTITY, msgspec.json.encode(whose))

    def counters(self, **values: int) -> None:
        """The shim's own counters."""
        numbers = np.array([values.get(name, 0) for name in records.COUNTERS], np.uint64)
        self.add(records.COUNTERS_KIND, numbers.tobytes())

    def add(self, kind: int, payload: bytes) -> None:
        """A frame."""
        seq = len(self.frames) + 1
        self.frames.append(Frame(kind, memoryview(payload), Cursor(seq * 8, seq)))

    def told(self, join: KernelJoin | None = None) -> list[Joined]:
        """Everything that a join makes of the frames, to the end."""
        join = join or joined()
        return [*join.feed(self.frames, NAMES), *join.end()]


def joined(every: int = 0) -> KernelJoin:
    """A join of the ring."""
    return KernelJoin(RING, every, 0.0, anchor())


def step_sums(facts: Sequence[Joined]) -> list[StepKernelSums]:
    """Those of steps among facts."""
    return [fact for fact in facts if isinstance(fact, StepKernelSums)]


def details(facts: Sequence[Joined]) -> list[JoinedKernels]:
    """Single kernels among facts."""
    return [fact for fact in facts if isinstance(fact, JoinedKernels)]


def counted(facts: Sequence[Joined]) -> Counter[tuple[str, int]]:
    """Kernels and their nanoseconds: of each step by class, and of all by name."""
    sums: Counter[tuple[str, int]] = Counter()
    for fact in facts:
        if isinstance(fact, StepKernelSums):
            for kind, many, took in zip(fact.classes, fact.kernels, fact.kernel_ns, strict=True):
                sums[f"{fact.seq} {fact.device} {kind}", 0] += many
                sums[f"{fact.seq} {fact.device} {kind}", 1] += took
        elif isinstance(fact, KernelTotals):
            rows = zip(fact.names, fact.kernels, fact.total_ns, strict=True)
            for name, many, took in rows:
                sums[f"{fact.time_ns} {fact.device} {name}", 0] += many
                sums[f"{fact.time_ns} {fact.device} {name}", 1] += took
    return sums
