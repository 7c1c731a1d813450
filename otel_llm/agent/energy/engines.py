"""An engine's steps in order of time on its devices."""

from typing import NamedTuple

import msgspec

from otel_llm.facts import Producer
from otel_llm.facts.joined import JoinedStep

INDEX_BITS = 40
"""A request's number on this node: its engine's number, then so many bits of its own index."""
MAX_INDEX = (1 << INDEX_BITS) - 1


class Timed(NamedTuple):
    """A step on its devices.

    Attributes:
        step: the fact; None for time in which steps were lost.
        start_ns, end_ns: in monotonic nanoseconds of this host.
        known: its members are requests, and its result was in or its engine died in it.
    """

    step: JoinedStep | None
    start_ns: int
    end_ns: int
    known: bool


class Engine(msgspec.Struct):
    """What is remembered of an engine with devices here.

    Attributes:
        number: this agent's own for it, from 1.
        producer: it.
        last_ns: end of its latest step.
        last_seq: number of that step.
        length_ns: how long that step took.
        lossy: records of it were lost since.
        visiting: it is on another node, and its workers are on devices here.
    """

    number: int
    producer: Producer
    last_ns: int = 0
    last_seq: int = 0
    length_ns: int = 0
    lossy: bool = False
    visiting: bool = False

    @property
    def instance_id(self) -> str:
        """Id of its journal."""
        return self.producer.instance_id

    @property
    def is_split(self) -> bool:
        """Whether it has workers on devices that are not on this node, or did not tell theirs."""
        return self.producer.ranks > len(self.producer.devices)

    def request(self, index: int) -> int:
        """Number of one of its requests."""
        return self.number << INDEX_BITS | index & MAX_INDEX

    def timed(self, step: JoinedStep, shift_ns: int) -> list[Timed]:
        """A further step; before it, time in which steps were lost.

        A step begins on the device when the one before it ends: an engine schedules ahead.

        Args:
            step: in the order in which results came.
            shift_ns: what to add to its stamps to get monotonic time of this host.
        """
        scheduled, ended = step.scheduled.schedule_ns + shift_ns, step.ended_ns + shift_ns
        found = []
        if self.lossy and step.scheduled.seq > self.last_seq + 1 and scheduled > self.last_ns > 0:
            found.append(Timed(None, self.last_ns, scheduled, known=False))
        self.lossy = False
        start = max(scheduled, self.last_ns)
        if step.status == "unknown":
            # Nobody knows when it ended: take it for as long as the one before.
            ended = min(ended, start + self.length_ns)
        end = max(start, ended)
        self.last_ns, self.last_seq, self.length_ns = end, step.scheduled.seq, end - start
        known = step.status != "unknown" and bool(step.scheduled.request_index)
        found.append(Timed(step, start, end, known))
        return found

    def running(self, step: JoinedStep, shift_ns: int, until_ns: int) -> Timed:
        """A step without a result yet, up to a moment. Nothing is remembered of it."""
        start = min(max(step.scheduled.schedule_ns + shift_ns, self.last_ns), until_ns)
        return Timed(step, start, until_ns, bool(step.scheduled.request_index))
