"""Step timing by CUDA events, where CUPTI records nothing: two events around a step's launches.

Nothing here waits for the device: an event is asked whether it has happened, and asked again at a
later step. It imports no torch: who has it hands it in.
"""

from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from otel_llm.clock import SYSTEM_CLOCK, Clock, MonotonicNs

MOST_WAITING = 256
"""Steps whose events have not happened yet. Past that a step is left out, and counted."""


class Event(Protocol):
    """`torch.cuda.Event(enable_timing=True)`."""

    def record(self) -> None:
        """Put it behind what is queued on the current stream."""

    def query(self) -> bool:
        """Whether the device has come to it."""

    def elapsed_time(self, end_event: Any) -> float:  # noqa: ANN401  its own kind
        """From this one to another, in milliseconds."""


class Cuda(Protocol):
    """As much of `torch.cuda` as is used."""

    def Event(self, enable_timing: bool = False) -> Event:  # noqa: N802  torch's
        """A new event."""

    def is_current_stream_capturing(self) -> bool:
        """Whether a graph is being captured, in which an event would become part of it."""


Tell = Callable[[int, MonotonicNs, int], None]
"""Takes a step, when its launching began, and how long it took on the device, in nanoseconds."""


class _Timed:
    """A step between two events."""

    __slots__ = ("launched_ns", "seq", "start", "stop", "stopped")

    def __init__(self, start: Event, stop: Event) -> None:
        self.start, self.stop = start, stop
        self.seq, self.launched_ns, self.stopped = 0, MonotonicNs(0), False


class EventTimer:
    """Times the steps of one worker. Used by its one thread that launches.

    Args:
        cuda: `torch.cuda`, or what stands for it.
        tell: gets each step's time once it is known, in the order of the steps.
        clock: source of the times of launching.

    Attributes:
        left_out: steps not timed: captured, or too many were waiting.
    """

    def __init__(self, cuda: Cuda, tell: Tell, clock: Clock = SYSTEM_CLOCK) -> None:
        self._cuda = cuda
        self._tell = tell
        self._now = clock.monotonic_ns
        self._free: list[_Timed] = []
        self._waiting: deque[_Timed] = deque()
        self._current: _Timed | None = None
        self.left_out = 0

    def begin(self, seq: int) -> None:
        """A step's launches begin: tell of the steps that are over, then put its first event."""
        self.settle()
        if self._cuda.is_current_stream_capturing() or len(self._waiting) >= MOST_WAITING:
            self.left_out += 1
            return
        timed = self._free.pop() if self._free else self._new()
        timed.seq, timed.launched_ns, timed.stopped = seq, self._now(), False
        timed.start.record()
        self._current = timed

    def end(self) -> None:
        """Launches of the step have ended, so far: a later call takes the place of this one."""
        timed = self._current
        if timed is None:
            return
        if self._cuda.is_current_stream_capturing():
            self.left_out += 1
            self._current = None
            return
        timed.stop.record()
        timed.stopped = True

    def settle(self) -> None:
        """The current step is over; tell of all whose events have happened."""
        timed, self._current = self._current, None
        if timed is not None and timed.stopped:
            self._waiting.append(timed)
        elif timed is not None:
            self.left_out += 1
        while self._waiting and self._waiting[0].stop.query():
            done = self._waiting.popleft()
            took_ns = round(done.start.elapsed_time(done.stop) * 1e6)
            self._free.append(done)
            self._tell(done.seq, done.launched_ns, max(0, took_ns))

    def _new(self) -> _Timed:
        event = self._cuda.Event
        return _Timed(event(enable_timing=True), event(enable_timing=True))
