"""What a kernel ring says of itself: whose kernels it has, its clocks, its counters."""

from collections import Counter

import msgspec

from otel_llm.agent.hygiene import clean
from otel_llm.agent.kernel_rows import Rows, Setting, believed, learn_devices
from otel_llm.agent.kernel_state import RingState
from otel_llm.agent.kernel_whose import device_names, engine_of
from otel_llm.clock import Anchor, EpochNs, MonotonicNs
from otel_llm.kernels.reader import Frame, KernelProducer, counters
from otel_llm.kernels.whose import Whose

_TOUCHING = frozenset(
    {"dropped_by_cupti", "zero_timestamps", "absurd_timestamps", "truncated", "ring_errors",
     "buffers_declined"}
)  # fmt: skip
"""Counters of the shim whose growth means that kernels of a step may be missing."""
_FARTHEST_NS = 3_600_000_000_000
"""How far CUPTI's clock may be from the wall's to be believed, in nanoseconds."""


class RingTold:
    """Keeps what one ring has told, and believes of its rows what can be true.

    Args:
        ring: who writes it.
        now: clock reading until the ring's first.

    Attributes:
        state: what is saved.
        producer: whose kernels these are.
        names: kernel names by id.
        breaches: rows that cannot be true, and other broken rules, by label.
        counted: what the shim counted since the caller last took it, by `records.COUNTERS`.
        yields: times the shim made way for another user of CUPTI, likewise.
    """

    def __init__(self, ring: KernelProducer, now: Anchor) -> None:
        self._ring = ring
        self._fallback = now
        self.state = RingState()
        self.names: dict[int, str] = {}
        self.breaches: Counter[str] = Counter()
        self.counted: Counter[str] = Counter()
        self.yields = 0
        self.producer = engine_of(ring, self.state.whose, self.breaches)

    @property
    def anchor(self) -> Anchor:
        """The latest clock reading."""
        return self.state.anchor or self._fallback

    @property
    def setting(self) -> Setting:
        """What turns its rows into facts now."""
        whose, numbers = self.state.whose, self.state.devices
        return Setting(
            self.producer, self.anchor, self.anchor.offset_ns + self.state.cupti_ns, whose.rank,
            device_names(whose, numbers), numbers, self.names,
        )  # fmt: skip

    def believed(self, found: Rows, *, raw: bool, counted: bool = True) -> Rows:
        """Rows that can be true; the others are counted as breaches where `counted`."""
        now_ns = self.anchor.wall_ns + self.state.cupti_ns
        left = believed(found, now_ns, raw=raw)
        if counted and len(left) < len(found):
            self.breaches["time"] += len(found) - len(left)
        learn_devices(left, self.state.devices)
        return left

    def take_clock(self, frame: Frame) -> None:
        """A frame ANCHOR; one that cannot be true leaves the clocks as they are."""
        wall, mono, error, cupti = frame.payload.cast("q")
        found = clean(Anchor(EpochNs(wall), MonotonicNs(mono), error), self.breaches)
        if isinstance(found, Anchor):
            self.state.anchor = found
            self.state.cupti_ns = cupti if abs(cupti) < _FARTHEST_NS else 0

    def take_counters(self, frame: Frame) -> bool:
        """A frame COUNTERS. Whether kernels of a step may be missing by what it says."""
        before, now = self.state.counters, counters(frame)
        grown = {name: max(0, value - before.get(name, 0)) for name, value in now.items()}
        grown = {name: min(value, 1 << 48) for name, value in grown.items() if value}
        self.state.counters = {name: min(value, (1 << 63) - 1) for name, value in now.items()}
        self.counted.update(grown)
        return bool(_TOUCHING & grown.keys())

    def another(self, frame: Frame) -> Whose | None:
        """Whose kernels they are by a frame IDENTITY; None if it is no other than before."""
        try:
            whose = msgspec.json.decode(frame.payload, type=Whose)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            self.breaches["text"] += 1
            return None
        return None if whose == self.state.whose else whose

    def belongs_to(self, whose: Whose) -> None:
        """Whose kernels they are from now on."""
        self.state.whose = whose
        self.producer = engine_of(self._ring, whose, self.breaches)
