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


class Journal:
    """One journal and all that stood in it so far."""

    def __init__(self, path: Path) -> None:
        self._reader = JournalReader.open(path)
        self.records: list[Record] = []

    def read(self) -> None:
        """Read on, to what stands there now."""
        self.records += self._reader.read()

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
        delivered = {
            (journal.producer.instance_id, record.request_id): record
            for journal in self.read()
            for record in journal.records
            if isinstance(record, RequestDelivered)
        }
        return [
            request._replace(
                delivered=delivered.get((request.arrived.frontend, request.arrived.request_id))
            )
            for journal in self.cores()
            for request in _requests(journal)
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


def steps(journal: Journal) -> list[Step]:
    """The steps of one engine core, in order."""
    done = {record.seq: record for record in journal.records if isinstance(record, StepDone)}
    return [
        Step(record, done.get(record.seq))
        for record in journal.records
        if isinstance(record, StepScheduled)
    ]


def wait_for(condition: Callable[[], bool], what: str) -> None:
    """Poll until a condition holds.

    Raises:
        AssertionError: it never did.
    """
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"waited {DEADLINE_S:.0f} s for {what}"
        time.sleep(0.01)


def _requests(journal: Journal) -> Iterator[Request]:
    parts: dict[int, list[Part]] = defaultdict(list)
    for step in steps(journal):
        for row, index in enumerate(step.scheduled.request_index):
            parts[index].append(_part(step, row))
    ends = {each.index: each for each in journal.records if isinstance(each, RequestFinished)}
    for record in journal.records:
        if isinstance(record, RequestArrived):
            yield Request(record, ends.get(record.index), None, parts[record.index])


def _part(step: Step, row: int) -> Part:
    scheduled, done = step
    return Part(
        scheduled.schedule_ns,
        scheduled.phase[row],
        scheduled.tokens[row],
        scheduled.context[row],
        None if done is None else done.emitted[row],
    )
