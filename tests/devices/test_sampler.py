"""The sampler's threads, with sources that behave and that do not."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import pytest

from otel_llm.clock import SYSTEM_CLOCK
from otel_llm.devices import sampler as module
from otel_llm.devices.sampler import Sampler, Taken
from otel_llm.devices.source import CallCost, DeviceSource, Reading
from otel_llm.facts.device import Device, DeviceEvent, DeviceSample, DeviceSourceName
from otel_llm.testing import FakeClock, Swallowed
from tests.devices.facts import GPU, event, sample
from tests.waiting import until


class Scripted:
    """A source whose readings are a function."""

    name: DeviceSourceName = "nvml"
    problems: Sequence[str] = ()
    devices: Sequence[Device] = (GPU,)
    calls: Mapping[str, CallCost] = {}

    def __init__(self, reading: Callable[[bool], Reading], opens_at: int = 1) -> None:
        self._reading = reading
        self._closed_for = opens_at - 1
        self.events: list[DeviceEvent] = []
        self.closed = threading.Event()

    def open(self) -> bool:
        """At the try that was told."""
        self._closed_for -= 1
        return self._closed_for < 0

    def read(self, *, full: bool) -> Reading:
        """As told."""
        return self._reading(full)

    def wait(self, timeout_s: float) -> Sequence[DeviceEvent]:
        """What was put there."""
        time.sleep(min(timeout_s, 0.01))
        heard, self.events = self.events, []
        return heard

    def close(self) -> None:
        """Say so."""
        self.closed.set()


SECOND = 1_000_000_000
PATIENCE_S = 60.0


def one(full: bool) -> Reading:
    """A sample; the utilization says whether it was a full one."""
    return Reading([sample(power_mw=1, gpu_utilization=int(full))])


class Stop(threading.Event):
    """Waits by moving a clock on, and is set once the clock has moved so far."""

    def __init__(self, clock: FakeClock, after_s: float) -> None:
        super().__init__()
        self._clock = clock
        self._end_ns = clock.monotonic_ns() + round(after_s * SECOND)

    def wait(self, timeout: float | None = None) -> bool:
        """Let the time pass."""
        assert timeout is not None
        self._clock.advance(round(timeout * SECOND))
        if self._clock.monotonic_ns() >= self._end_ns:
            self.set()
        return self.is_set()


class Ran(NamedTuple):
    """A sampler whose sources were read, and what it handed over."""

    made: Sampler
    taken: Taken


def run(sources: Sequence[DeviceSource], seconds: float, clock: FakeClock | None = None) -> Ran:
    """Read at 50 Hz for so long by a clock of its own, one source after the other."""
    clock = clock or FakeClock()
    made = Sampler(sources, clock, 0.02, 0.1)
    for lane in made._lanes:
        lane._stop = Stop(clock, seconds)
        lane._read()
    return Ran(made, made.take(last=True))


def power(samples: Sequence[DeviceSample]) -> int:
    """How many samples with power."""
    return sum(each.power_mw is not None for each in samples)


def test_cadence_and_rows() -> None:
    """Fifty readings a second, every fifth of them full; only full ones become rows."""
    clock, source = FakeClock(), Scripted(one)
    made, taken = run([source], 1.0, clock)
    clock.advance(SECOND)
    [feed] = made.feeds
    assert (len(taken.samples), feed.missed) == (50, 0)
    assert [each.gpu_utilization for each in taken.rows] == [1] * 10
    assert feed.age_s == pytest.approx(1.02)
    assert source.closed.is_set()


def test_events_come_by_their_own_thread() -> None:
    """While a reading hangs, events are still heard."""
    hang = threading.Event()

    def slow(_full: bool) -> Reading:
        hang.wait(PATIENCE_S)
        return Reading()

    source = Scripted(slow)
    source.events = [event("xid", 79)]
    made = Sampler([source], SYSTEM_CLOCK, 0.02, 0.1)
    made.start()
    heard: list[DeviceEvent] = []
    until(lambda: heard.extend(made.take().events) or heard != [])
    assert [each.code for each in heard] == [79]
    assert not hang.is_set()
    hang.set()
    made.stop(PATIENCE_S)


def test_a_source_that_hangs_stops_nobody() -> None:
    """The other goes on; of the hanging one the page tells that it has told nothing yet."""
    release = threading.Event()

    def hanging(_full: bool) -> Reading:
        release.wait(2 * PATIENCE_S)
        return Reading()

    made = Sampler([Scripted(hanging), Scripted(one)], SYSTEM_CLOCK, 0.02, 0.1)
    made.start()
    samples: list[DeviceSample] = []
    until(lambda: samples.extend(made.take().samples) or power(samples) > 10)
    stuck, healthy = made.feeds
    assert stuck.age_s is None
    assert healthy.age_s is not None
    made.stop(0.3)
    reading, _ = made._lanes[0]._threads
    assert reading.is_alive()  # it was left behind
    release.set()
    made.stop(PATIENCE_S)


def test_a_source_that_raises_is_counted(swallowed: Swallowed) -> None:
    """Its error goes no further than its own lane."""

    def broken(_full: bool) -> Reading:
        message = "a fault of ours"
        raise RuntimeError(message)

    made, taken = run([Scripted(broken), Scripted(one)], 0.3)
    failed, healthy = made.feeds
    assert (failed.failed, healthy.failed) == (15, 0)
    assert power(taken.samples) == 15
    assert {place for place, _ in swallowed} == {"devices.nvml"}
    swallowed.clear()


def test_late_rounds_are_counted_and_not_made_up() -> None:
    """A reading of 100 ms at 50 Hz leaves out four rounds of five."""
    clock = FakeClock()

    def slow(_full: bool) -> Reading:
        clock.advance(SECOND // 10)
        return Reading([sample(power_mw=1)])

    made, taken = run([Scripted(slow)], 1.0, clock)
    assert (len(taken.samples), made.feeds[0].missed) == (10, 40)


def test_what_nobody_takes_is_dropped_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded; the newest are kept."""
    monkeypatch.setattr(module, "MAX_HELD", 10)
    made = Sampler([], SYSTEM_CLOCK, 0.1, 1.0)
    for number in range(25):
        made.hand_over(Reading([sample(number, power_mw=number)]), full=False)
    taken = made.take()
    assert [each.power_mw for each in taken.samples] == list(range(15, 25))
    assert (taken.dropped, made.take().dropped) == (15, 0)


def test_what_is_held_back_comes_with_the_last() -> None:
    """An agent that stops takes the events too that a rate limit would hold for a second."""
    made = Sampler([], FakeClock(), 0.1, 1.0)
    told = []
    for last in (False, False, True):
        made.hand_over(Reading(events=[event("xid", 79)]), full=False)
        told.append([each.occurrences for each in made.take(last=last).events])
    assert told == [[1], [], [2]]


def test_a_row_that_falls_due_during_a_reading() -> None:
    """It is made with the next reading, not left out."""
    clock = FakeClock()

    def slow(full: bool) -> Reading:
        clock.advance(SECOND * 3 // 100)
        return one(full)

    _, taken = run([Scripted(slow)], 1.0, clock)
    assert len(taken.rows) == 10


def test_a_source_that_opens_late() -> None:
    """A driver that is loaded after us is found."""
    source = Scripted(one, opens_at=3)
    _, taken = run([source], 2 * module.REOPEN_S + 1.0)
    assert power(taken.samples) == 50
