"""How long steps kept a device busy."""

from collections.abc import Iterable, Sequence

import numpy as np

from otel_llm.agent.bounded import Bounded
from otel_llm.agent.busy import BusyTime, BusyTimes
from otel_llm.agent.energy.engines import Engine, Timed
from otel_llm.energy.rounding import Floats
from otel_llm.facts.energy import BUSY
from otel_llm.facts.energy import Busy as Source
from otel_llm.facts.joined import Joined

SILENT_NS = 10_000_000_000
"""A device of whose steps nothing was told for so long is not waited for."""
_MOST_PARTS = 4_096

NAMES: dict[str, Source] = {"cupti": "kernels", "cuda_event": "cuda_events"}


class Busy:
    """What CUPTI and CUDA events told so far, and what it says of steps they told nothing of."""

    def __init__(self) -> None:
        self._measured = BusyTimes()
        self._parts: Bounded[tuple[str, str], float] = Bounded(_MOST_PARTS)

    def take(self, facts: Iterable[Joined]) -> None:
        """Remember what facts tell of steps."""
        self._measured.take(facts)

    def expects(self, engine: Engine, device: str) -> bool:
        """Whether steps of an engine on a device are being measured: their times will come."""
        latest_ns = self._measured.latest_ns(engine.instance_id, device)
        return latest_ns is not None and engine.last_ns - latest_ns < SILENT_NS

    def is_told(self, one: Timed, device: str) -> bool:
        """Whether a step's time on a device has come; of time with lost steps none will."""
        if one.step is None:
            return True
        seq = one.step.scheduled.seq
        return self._measured.of(one.step.producer.instance_id, seq, device).source != "none"

    def times(
        self, engine: Engine, timed: Sequence[Timed], device: str, lengths_ns: Floats
    ) -> tuple[Floats, Source]:
        """Busy times of an engine's steps on a device, and who says so: the weakest source.

        The one place to ask. A step whose time was not told counts by its own length, times the
        busy part of the length of those that were: else they would be charged too little beside
        it. A step is on the device for no longer than it took.

        Args:
            engine: whose.
            timed: the steps.
            device: id of the device.
            lengths_ns: shape (steps,); from when each could begin to its result, in nanoseconds.

        Returns:
            Shape (steps,), in nanoseconds.
        """
        found = lengths_ns.copy()
        told = np.zeros(len(timed), dtype=np.bool_)
        weakest: Source = "kernels"
        for place, one in enumerate(timed):
            time = self._of(one, device)
            if time is not None:
                told[place] = True
                found[place] = min(time.busy_ns, found[place])
                weakest = max(weakest, NAMES[time.source], key=BUSY.index)
        part = self._part((engine.instance_id, device), found[told], lengths_ns[told])
        if told.all():
            return found, weakest
        found[~told] *= part
        return found, "step_time"

    def _of(self, one: Timed, device: str) -> BusyTime | None:
        if one.step is None:
            return None
        seq = one.step.scheduled.seq
        time = self._measured.of(one.step.producer.instance_id, seq, device)
        return None if time.source == "none" or time.incomplete else time

    def _part(self, key: tuple[str, str], busy_ns: Floats, lengths_ns: Floats) -> float:
        """Busy part of steps' length: of these, else of the last that were told."""
        whole = float(lengths_ns.sum())
        if whole > 0:
            self._parts[key] = float(busy_ns.sum()) / whole
        return self._parts.get(key, 1.0)
