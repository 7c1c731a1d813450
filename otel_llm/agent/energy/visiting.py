"""Steps of engines on other nodes, whose workers run on devices of this one.

Their batches are not known here. Each step is charged as a whole; who was in it is joined by its
identity in the store.
"""

from collections import defaultdict
from collections.abc import Iterator

import msgspec
import numpy as np

from otel_llm.agent.bounded import Bounded
from otel_llm.agent.busy import busy_time
from otel_llm.agent.energy.busy import NAMES, SILENT_NS
from otel_llm.agent.energy.engines import MAX_INDEX, Engine
from otel_llm.agent.energy.loads import MOST_WINDOWS, Open
from otel_llm.agent.energy.registry import MOST_VISITORS
from otel_llm.agent.open_facts import Kept
from otel_llm.clock import Anchor, EpochNs, MonotonicNs
from otel_llm.energy.attribution import Steps, inside, weigh
from otel_llm.facts import Producer
from otel_llm.facts.energy import BUSY, Busy
from otel_llm.facts.joined import StepKernelSums

MOST_VISITS = 16_384
"""Steps remembered until they are charged; past it the oldest is charged without a rank."""


class Visit(msgspec.Struct, array_like=True, frozen=True):
    """A step on a device here.

    Attributes:
        producer: its engine, as its worker tells.
        anchor: clock reading for its times.
        seq: its number.
        rank: the worker's rank.
        device: id of the device, or of the MIG instance.
        start_ns, end_ns: on the device, in monotonic nanoseconds of this host.
        busy_ns: of that, busy.
        source: who measured that.
        incomplete: facts about it were lost.
    """

    producer: Producer
    anchor: Anchor
    seq: int
    rank: int
    device: str
    start_ns: int
    end_ns: int
    busy_ns: int
    source: Busy
    incomplete: bool


class Visits(Kept[Visit]):
    """All that are not charged yet, by the number that stands for a step in accounts."""

    def __init__(self) -> None:
        super().__init__("energy.visit", Visit, MOST_VISITS)
        self._new: list[tuple[int, Visit]] = []
        self._latest: defaultdict[str, Bounded[str, int]] = defaultdict(
            lambda: Bounded(MOST_VISITORS)
        )

    def note(self, number: int, fact: StepKernelSums, shift_ns: int, until_ns: int) -> None:
        """A worker here told of a step.

        Args:
            number: for the step in accounts.
            fact: what it told.
            shift_ns: what turns its stamps into monotonic time of this host.
            until_ns: a step that ended later cannot be; likewise of this host.
        """
        told = busy_time(fact)
        latest = self._latest[fact.device]
        instance = fact.producer.instance_id
        start = fact.base_ns + shift_ns
        if told.source == "cuda_event":  # stamped when it was launched: it ran when it could
            start = max(start, latest.get(instance, 0))
        end = start + fact.span_ns
        if end > until_ns:
            return
        latest[instance] = max(end, latest.get(instance, 0))
        visit = Visit(
            fact.producer, fact.anchor, fact.seq, fact.rank, fact.device, start, end,
            min(told.busy_ns, fact.span_ns), NAMES[told.source], fact.incomplete,
        )  # fmt: skip
        self._new.append((number, visit))
        self.put(number, visit)

    def are_expected(self, device: str, window_end_ns: int) -> bool:
        """Whether steps of a window that ended may still be told of."""
        latest = self._latest[device].values()
        return any(window_end_ns - SILENT_NS < last < window_end_ns for last in latest)

    def fold(self, closed_ns: dict[str, int], length: int) -> Iterator[tuple[str, int, Open]]:
        """What those that came since weigh: by device and number of the window.

        Args:
            closed_ns: until when each device's windows are closed, by its id.
            length: of a window, in nanoseconds.
        """
        new, self._new = self._new, []
        for device in dict.fromkeys(visit.device for _, visit in new):
            mine = [(number, visit) for number, visit in new if visit.device == device]
            for instance in dict.fromkeys(visit.producer.instance_id for _, visit in mine):
                ours = [one for one in mine if one[1].producer.instance_id == instance]
                for number, loads in _by_window(ours, closed_ns.get(device, 0), length):
                    yield device, number, loads

    def over(self, device: str, closed_ns: int) -> list[int]:
        """Numbers of those that ended by the end of the last closed window."""
        return [int(number) for number, visit in self.items()
                if visit.device == device and visit.end_ns <= closed_ns]  # fmt: skip


def _by_window(
    visits: list[tuple[int, Visit]], closed_ns: int, length: int
) -> Iterator[tuple[int, Open]]:
    steps = _steps(visits)
    source = max((visit.source for _, visit in visits), key=BUSY.index)
    engines = frozenset(visit.producer.instance_id for _, visit in visits)
    last = int(steps.end_ns.max()) // length
    first = max(int(steps.start_ns.min()), closed_ns) // length
    for number in range(max(first, last - MOST_WINDOWS), last + 1):
        begin, finish = number * length, (number + 1) * length
        loads = weigh(begin, finish, steps)
        if len(loads.start_ns):
            busy_ns = float((steps.busy * inside(begin, finish, steps)).sum())
            yield number, Open(loads, "busy", source, engines, busy_ns)


def _steps(visits: list[tuple[int, Visit]]) -> Steps:
    count = len(visits)
    ones = np.ones(count, dtype=np.int64)
    return Steps(
        np.array([visit.start_ns for _, visit in visits], dtype=np.int64),
        np.array([visit.end_ns for _, visit in visits], dtype=np.int64),
        np.array([visit.busy_ns for _, visit in visits], dtype=np.float64),
        np.ones(count, dtype=np.bool_),
        ones,
        np.array([number for number, _ in visits], dtype=np.int64),
        np.zeros(count, dtype=np.bool_),
        np.ones(count),
    )


def stand_in(engine: Engine, number: int, at_ns: int) -> Visit:
    """In place of one that had to make room: all that its number tells."""
    anchor = Anchor(EpochNs(0), MonotonicNs(0), 0)
    seq = number & MAX_INDEX
    return Visit(engine.producer, anchor, seq, 0, "", at_ns, at_ns, 0, "step_time", incomplete=True)
