"""Reads all sources at a steady cadence, each in threads of its own, and hands over what they tell.

A source that hangs or fails stops neither the others nor the agent: its samples grow old, which the
agent's page shows.
"""

import threading
import time
from collections import Counter, deque
from collections.abc import Collection, Sequence
from typing import NamedTuple

from otel_llm.clock import Clock
from otel_llm.devices.claims import Unclaimed
from otel_llm.devices.merging import Merger
from otel_llm.devices.source import DeviceSource, Reading
from otel_llm.facts.device import Device, DeviceEvent, DeviceSample
from otel_llm.isolation import Guard

MAX_HELD = 20_000
"""Samples held for the agent: about four minutes of eight devices at 10 Hz."""
REOPEN_S = 60.0
"""How often a source is tried again that could not be opened."""
WAIT_S = 0.5
"""Longest wait for events, so that a stop is heard in time."""


class Taken(NamedTuple):
    """What was handed over.

    Attributes:
        samples: every sample, for meters.
        rows: of these, the full ones, for the store.
        events: like ones merged.
        dropped: samples that were not taken in time.
        elsewhere: devices that another agent of this host reads; nothing of them is in here.
        missed: of these, ids of those whose readings are wanted here: engines are on them.
        taken_over: ids of devices that another agent read until now: their meters begin anew.
    """

    samples: Sequence[DeviceSample] = ()
    rows: Sequence[DeviceSample] = ()
    events: Sequence[DeviceEvent] = ()
    dropped: int = 0
    elsewhere: Sequence[Device] = ()
    missed: Collection[str] = ()
    taken_over: Sequence[str] = ()


class Feed(NamedTuple):
    """How a source fares.

    Attributes:
        source: it.
        label: its name; with a number if there is another one of that name.
        is_open: whether it has devices now.
        age_s: seconds since its last round ended; None before the first.
        missed: rounds that came too late and were left out.
        failed: rounds that ended in an error of the source.
    """

    source: DeviceSource
    label: str
    is_open: bool
    age_s: float | None
    missed: int
    failed: int


class Sampler:
    """Reads sources until it is stopped.

    Args:
        sources: to be read; each is opened here.
        clock: the machine's.
        interval_s: between two readings of energy and power, in seconds.
        row_interval_s: between two full readings, in seconds.
        claims: says which devices are this agent's to tell of.
    """

    def __init__(
        self,
        sources: Sequence[DeviceSource],
        clock: Clock,
        interval_s: float,
        row_interval_s: float,
        claims: Unclaimed | None = None,
    ) -> None:
        self._clock = clock
        self._claims = claims or Unclaimed()
        self._merger = Merger()
        self._lock = threading.Lock()
        self._samples: deque[tuple[DeviceSample, bool]] = deque()
        self._dropped = 0
        self._stop = threading.Event()
        self._lanes = [
            _Lane(source, label, self, clock, interval_s, row_interval_s)
            for source, label in zip(sources, _labels(sources), strict=True)
        ]

    @property
    def feeds(self) -> list[Feed]:
        """How each source fares now."""
        return [lane.feed for lane in self._lanes]

    def start(self) -> None:
        """Begin to read."""
        for lane in self._lanes:
            lane.start(self._stop)

    def stop(self, timeout_s: float) -> None:
        """Stop reading; waits for the threads at most so long, in seconds."""
        self._stop.set()
        deadline = time.monotonic() + timeout_s
        for lane in self._lanes:
            lane.join(max(0.0, deadline - time.monotonic()))

    def hand_over(self, reading: Reading, *, full: bool) -> None:
        """Take in what a source told of devices that are ours.

        Past MAX_HELD the oldest sample is dropped and counted.
        """
        events = [each for each in reading.events if self._is_ours(each)]
        samples = [(each, full) for each in reading.samples if self._is_ours(each)]
        with self._lock:
            self._merger.add(events)
            self._samples.extend(samples)
            while len(self._samples) > MAX_HELD:
                self._samples.popleft()
                self._dropped += 1

    def take(self, *, last: bool = False) -> Taken:
        """All that came since the last call.

        Args:
            last: with the events that a rate limit would hold back.
        """
        with self._lock:
            held, self._samples = self._samples, deque()
            dropped, self._dropped = self._dropped, 0
            events = list(self._merger.due(self._clock.monotonic_ns()))
            events += self._merger.rest() if last else ()
            taken_over = self._claims.take_over()
        if taken_over:  # what another agent has told of them meanwhile is between the two
            held = deque(one for one in held if self._is_ours(one[0]))
        samples = [sample for sample, _ in held]
        rows = [sample for sample, full in held if full]
        claims = self._claims
        return Taken(samples, rows, events, dropped, claims.elsewhere, claims.missed, taken_over)

    def prefer(self, names: Collection[str]) -> None:
        """Engines are on these devices or MIG instances: others shall leave them to this agent."""
        self._claims.prefer(names)

    def _is_ours(self, told: DeviceSample | DeviceEvent) -> bool:
        return self._claims.holds(told.device, told.at_ns)


class _Lane:
    """The threads of one source."""

    def __init__(
        self,
        source: DeviceSource,
        label: str,
        sampler: Sampler,
        clock: Clock,
        interval_s: float,
        row_interval_s: float,
    ) -> None:
        self._source = source
        self._label = label
        self._sampler = sampler
        self._clock = clock
        self._interval_ns = round(interval_s * 1e9)
        self._row_interval_ns = round(row_interval_s * 1e9)
        self._failed = 0
        self._missed = 0
        self._ended_ns: int | None = None
        self._is_open = False
        # A thread per task: waiting for events must not hold up readings.
        self._threads = [
            threading.Thread(target=each, name=f"devices-{label}", daemon=True)
            for each in (self._read, self._listen)
        ]
        self._guard = Guard(f"devices.{source.name}", self._note_failure)

    @property
    def feed(self) -> Feed:
        ended_ns = self._ended_ns
        age_s = None if ended_ns is None else (self._clock.monotonic_ns() - ended_ns) / 1e9
        return Feed(self._source, self._label, self._is_open, age_s, self._missed, self._failed)

    def start(self, stop: threading.Event) -> None:
        self._stop = stop
        for thread in self._threads:
            thread.start()

    def join(self, timeout_s: float) -> None:
        for thread in self._threads:
            thread.join(timeout_s)

    def _note_failure(self) -> None:
        self._failed += 1

    def _read(self) -> None:
        while not self._stop.is_set():
            with self._guard:
                self._is_open = self._source.open()
            if self._is_open:
                self._rounds()
            elif self._stop.wait(REOPEN_S):
                break
        with self._guard:
            self._source.close()

    def _rounds(self) -> None:
        due_ns = next_row_ns = int(self._clock.monotonic_ns())
        while not self._stop.wait(max(0, due_ns - self._clock.monotonic_ns()) / 1e9):
            full = self._clock.monotonic_ns() >= next_row_ns
            with self._guard:
                self._sampler.hand_over(self._source.read(full=full), full=full)
            now_ns = self._ended_ns = self._clock.monotonic_ns()
            while full and next_row_ns <= now_ns:
                next_row_ns += self._row_interval_ns
            due_ns += self._interval_ns
            late = max(0, (now_ns - due_ns) // self._interval_ns)
            self._missed += late
            due_ns += late * self._interval_ns

    def _listen(self) -> None:
        while not self._stop.is_set():
            if not self._is_open:
                self._stop.wait(WAIT_S)
                continue
            with self._guard:
                self._sampler.hand_over(Reading(events=self._source.wait(WAIT_S)), full=False)


def _labels(sources: Sequence[DeviceSource]) -> list[str]:
    """Names, no two alike: two recordings are `replay` and `replay-2`."""
    seen = Counter[str]()
    labels = []
    for source in sources:
        seen[source.name] += 1
        number = seen[source.name]
        labels.append(source.name if number == 1 else f"{source.name}-{number}")
    return labels
