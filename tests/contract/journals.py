"""The journals of an engine under test, read as they grow."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from otel_llm.clock import MonotonicNs
from otel_llm.facts import (
    PHASE_PREFILL,
    RequestArrived,
    RequestDelivered,
    RequestFinished,
    StepDone,
    StepScheduled,
)
from otel_llm.facts.producer import Producer
from otel_llm.journal.directory import scan
from otel_llm.journal.reader import JournalReader, LostCounts, WriterCounters
from otel_llm.journal.records import Record

DEADLINE_S = 60.0


class Part(NamedTuple):
    """A request's part of a step.

    Attributes:
        schedule_ns: of the step.
        phase, tokens, context: of this member.
        emitted: output tokens it gained; None while the result is not in.
    """

    schedule_ns: MonotonicNs
    phase: int
    tokens: int
    context: int
    emitted: int | None


class Request(NamedTuple):
    """All that the journals tell of one sequence.

    Attributes:
        arrived: its arrival, as the engine's core tells it.
        end: its end there; None before it.
        delivered: the API server's half, where another process or journal has it.
        parts: its parts of steps, in order.
    """

    arrived: RequestArrived
    end: RequestFinished | None
    delivered: RequestDelivered | None
    parts: list[Part]

    @property
    def whole(self) -> bool:
        """Whether all of it is told."""
        return self.end is not None and (not self.arrived.frontend or self.delivered is not None)

    @property
    def ended(self) -> RequestFinished:
        """Its end.

        Raises:
            AssertionError: there is none yet.
        """
        assert self.end is not None, f"{self.arrived.request_id} has no end"
        return self.end

    @property
    def arrival_ns(self) -> MonotonicNs:
        """The API server received it."""
        return (self.delivered or self.arrived).arrival_ns

    @property
    def first_output_ns(self) -> MonotonicNs | None:
        """The API server handled its first output: TTFT_engine ends."""
        return (self.delivered or self.ended).first_output_ns

    @property
    def finished_ns(self) -> MonotonicNs:
        """The last of its processes let go of it."""
        return max((self.delivered or self.ended).finished_ns, self.ended.finished_ns)

    @property
    def outcome(self) -> str:
        """How it ended for its caller."""
        return (self.delivered or self.ended).outcome

    @property
    def finish_reason(self) -> str:
        """Why it ended, for its caller."""
        return (self.delivered or self.ended).finish_reason

    @property
    def phase(self) -> str:
        """Where it is or was last: `queue`, `prefill` or `decode`."""
        if not self.parts:
            return "queue"
        return "prefill" if self.parts[-1].phase == PHASE_PREFILL else "decode"


class Step(NamedTuple):
    """A step's two halves; the second is None while it is in flight."""

    scheduled: StepScheduled
    done: StepDone | None


class Journal:
    """One journal and all that stood in it so far.

    A record is taken in once, when it is read: a test polls while an engine runs, and must not
    fall behind it.
    """

    def __init__(self, path: Path) -> None:
        self._reader = JournalReader.open(path)
        self.records: list[Record] = []
        self.delivered: dict[str, RequestDelivered] = {}
        self._arrived: list[RequestArrived] = []
        self._ends: dict[int, RequestFinished] = {}
        self._steps: dict[int, Step] = {}
        self._parts: dict[int, list[Part]] = defaultdict(list)

    def read(self) -> int:
        """Read on, to what stands there now; returns how many records that were."""
        new = self._reader.read()
        self.records += new
        for record in new:
            self._take(record)
        return len(new)

    def steps(self) -> list[Step]:
        """The steps of an engine core, in order."""
        return list(self._steps.values())

    def requests(self) -> Iterator[Request]:
        """An engine core's requests, in the order of arrival; without the API server's half."""
        for arrived in self._arrived:
            parts = self._parts.get(arrived.index, [])
            yield Request(arrived, self._ends.get(arrived.index), None, list(parts))

    @property
    def producer(self) -> Producer:
        """Who writes."""
        return self._reader.producer

    @property
    def counters(self) -> WriterCounters:
        """What the writer counts."""
        return self._reader.counters

    @property
    def lost(self) -> LostCounts:
        """What could not be read."""
        return self._reader.lost

    def close(self) -> None:
        """Let go of it."""
        self._reader.close()

    def _take(self, record: Record) -> None:
        match record:
            case RequestArrived():
                self._arrived.append(record)
            case RequestFinished():
                self._ends[record.index] = record
            case RequestDelivered():
                self.delivered[record.request_id] = record
            case StepScheduled():
                self._steps[record.seq] = Step(record, None)
                for row, index in enumerate(record.request_index):
                    self._parts[index].append(_part(record, row))
            case StepDone() if record.seq in self._steps:
                scheduled = self._steps[record.seq].scheduled
                step = self._steps[record.seq] = Step(scheduled, record.whole())
                for row, index in enumerate(step.scheduled.request_index):
                    _emitted(self._parts[index], step, row)


class Journals:
    """All journals in a directory. Thread-safe."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._journals: dict[Path, Journal] = {}
        self._lock = threading.Lock()

    def read(self) -> list[Journal]:
        """Read on; returns every journal there is."""
        with self._lock:
            for path in scan(self.directory):
                if path not in self._journals:
                    self._journals[path] = Journal(path)
            for journal in self._journals.values():
                journal.read()
            return list(self._journals.values())

    def cores(self) -> list[Journal]:
        """Journals of engine cores."""
        return [each for each in self.read() if each.producer.kind == "engine"]

    def requests(self) -> list[Request]:
        """Every request so far, both halves paired."""
        journals = self.read()
        delivered = {journal.producer.instance_id: journal.delivered for journal in journals}
        return [
            one._replace(
                delivered=delivered.get(one.arrived.frontend, {}).get(one.arrived.request_id)
            )
            for journal in journals
            if journal.producer.kind == "engine"
            for one in journal.requests()
        ]

    def of_call(self, api_request_id: str) -> list[Request]:
        """The requests of one API call, in the order of arrival."""
        return [one for one in self.requests() if one.arrived.api_request_id == api_request_id]

    def of_trace(self, traceparent: str) -> list[Request]:
        """The requests of the call that came with this header."""
        return [one for one in self.requests() if one.arrived.traceparent == traceparent]

    def settled(self) -> bool:
        """Whether every request that arrived is told to its end."""
        return all(one.whole for one in self.requests())

    def close(self) -> None:
        """Let go of all of them."""
        with self._lock:
            for journal in self._journals.values():
                journal.close()


def wait_for(condition: Callable[[], bool], what: str) -> None:
    """Poll until a condition holds.

    Raises:
        AssertionError: it never did.
    """
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"waited {DEADLINE_S:.0f} s for {what}"
        time.sleep(0.01)


def _part(scheduled: StepScheduled, row: int) -> Part:
    return Part(
        scheduled.schedule_ns,
        scheduled.phase[row],
        scheduled.tokens[row],
        scheduled.context[row],
        None,
    )


def _emitted(parts: list[Part], step: Step, row: int) -> None:
    """Say what a request's part of a step gained; a step or two were scheduled since, maybe."""
    assert step.done is not None
    for at in reversed(range(len(parts))):
        if parts[at].schedule_ns == step.scheduled.schedule_ns:
            parts[at] = parts[at]._replace(emitted=step.done.emitted[row])
            return
