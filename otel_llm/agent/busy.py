"""How long a device was busy with a step: what sharing out energy and capacity asks for.

GPU time comes only from CUPTI or from CUDA events, never from the host's clock around a step.
"""

from collections.abc import Iterable
from typing import Literal, NamedTuple

from otel_llm.agent.bounded import Bounded
from otel_llm.facts.joined import Joined, StepKernelSums

BusySource = Literal["cupti", "cuda_event", "none"]
MOST_STEPS = 65_536
"""Steps times devices that are remembered: eight devices at 100 steps/s for 80 s."""


class BusyTime(NamedTuple):
    """Busy time of one step on one device.

    Attributes:
        busy_ns: with a kernel running, in nanoseconds of the device; 0 with source `none`.
        source: `cupti`: from its kernels. `cuda_event`: between two events around its launches, so
            that gaps between its kernels are in it. `none`: nobody measured.
        bound: `busy_ns` is the most it can be: what was told of the kernels does not say which of
            them ran at once. Always so with `cuda_event`.
        incomplete: records about it were lost; `busy_ns` may be too low.
    """

    busy_ns: int
    source: BusySource
    bound: bool = False
    incomplete: bool = False


NOT_MEASURED = BusyTime(0, "none")


def busy_time(fact: StepKernelSums) -> BusyTime:
    """Busy time that a fact tells of; `NOT_MEASURED` where it was not measured on a GPU."""
    if fact.source == "cupti":
        return BusyTime(fact.busy_ns, "cupti", fact.bound, fact.incomplete)
    if fact.source == "cuda_event":
        return BusyTime(fact.busy_ns, "cuda_event", bound=True, incomplete=fact.incomplete)
    return NOT_MEASURED


class BusyTimes:
    """Busy times of the latest steps, by engine, step and device.

    A step's time comes when its kernels are in: one to three seconds after its result with CUPTI,
    at once with CUDA events. Several facts of one step on one device add up. Where both sources
    told, CUPTI counts.

    Args:
        most: steps times devices remembered; past that the oldest is forgotten.
    """

    def __init__(self, most: int = MOST_STEPS) -> None:
        self._times: Bounded[tuple[str, int, str], BusyTime] = Bounded(most)
        self._latest: Bounded[tuple[str, str], int] = Bounded(most)

    def take(self, facts: Iterable[Joined]) -> None:
        """Remember what the facts tell of steps; facts of another kind and step 0 say nothing."""
        for fact in facts:
            if type(fact) is StepKernelSums and fact.seq:
                told = busy_time(fact)
                if told.source != "none":
                    key = (fact.producer.instance_id, fact.seq, fact.device)
                    self._times[key] = _together(self._times.get(key, NOT_MEASURED), told)
                    place = (fact.producer.instance_id, fact.device)
                    ended_ns = fact.base_ns + fact.span_ns
                    self._latest[place] = max(ended_ns, self._latest.get(place, 0))

    def of(self, instance_id: str, seq: int, device: str) -> BusyTime:
        """Busy time of a step on a device, so far.

        Args:
            instance_id: the engine, as in `Producer.instance_id`; each data-parallel rank has one.
            seq: the step, as in `StepScheduled.seq`.
            device: UUID of the device, as NVML writes it.
        """
        return self._times.get((instance_id, seq, device), NOT_MEASURED)

    def latest_ns(self, instance_id: str, device: str) -> int | None:
        """When the latest step that was told of ended on a device, in monotonic nanoseconds.

        Args:
            instance_id: the engine.
            device: as in `of`.

        Returns:
            None if nothing was told.
        """
        return self._latest.get((instance_id, device))


def _together(known: BusyTime, told: BusyTime) -> BusyTime:
    if known.source != told.source:
        return known if known.source == "cupti" else told
    return BusyTime(
        known.busy_ns + told.busy_ns,
        told.source,
        known.bound or told.bound,
        known.incomplete or told.incomplete,
    )
