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


class Scripted:
    """A source whose readings are a function."""

    name: DeviceSourceName = "nvml"
    problems: Sequence[str] = ()
    devices: Sequence[Device] = (GPU,)
    calls: Mapping[str, CallCost] = {}

    def __init__(self, reading: Callable[[bool], Reading], opens: bool = True) -> None:
        self._reading = reading
        self._opens = opens
        self.events: list[DeviceEvent] = []
        self.closed = threading.Event()

    def open(self) -> bool:
        """As told."""
        return self._opens

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


def one(full: bool) -> Reading:
    """A sample; the utilization says whether it was a full one."""
    return Reading([sample(power_mw=1, gpu_utilization=int(full))])


class Ran(NamedTuple):
    """A sampler that has run, what it handed over, and how many rounds were due in its time."""

    made: Sampler
    taken: Taken
    due: float


def run(sources: Sequence[DeviceSource], seconds: float) -> Ran:
    """Read at 50 Hz for so long, and take what came."""
    made = Sampler(sources, SYSTEM_CLOCK, 0.02, 0.1)
    began = time.monotonic()
    made.start()
    time.sleep(seconds)
    made.stop(2.0)
    return Ran(made, made.take(last=True), (time.monotonic() - began) / 0.02)


def power(samples: Sequence[DeviceSample]) -> int:
    """How many samples with power."""
    return sum(each.power_mw is not None for each in samples)


def test_cadence_and_rows() -> None:
    """About fifty readings a second, every fifth of them full; only full ones become rows."""
    source = Scripted(one)
    ran = run([source], 1.0)
    [feed], taken = ran.made.feeds, ran.taken
    assert len(taken.samples) + feed.missed == pytest.approx(ran.due, rel=0.2)
    assert len(taken.rows) == pytest.approx(ran.due / 5, abs=3)
    assert {each.gpu_utilization for each in taken.rows} == {1}
    assert source.closed.is_set()


def test_events_come_by_their_own_thread() -> None:
    """While a reading hangs, events are still heard."""
    hang = threading.Event()

    def slow(_full: bool) -> Reading:
        hang.wait(1.0)
        return Reading()

    source = Scripted(slow)
    source.events = [event("xid", 79)]
    made = Sampler([source], SYSTEM_CLOCK, 0.02, 0.1)
    made.start()
    time.sleep(0.2)
    assert [each.code for each in made.take().events] == [79]
    hang.set()
    made.stop(2.0)


def test_a_source_that_hangs_stops_nobody() -> None:
    """The other goes on; of the hanging one the page tells that it is old."""
    release = threading.Event()

    def hanging(_full: bool) -> Reading:
        release.wait(10.0)
        return Reading()

    made = Sampler([Scripted(hanging), Scripted(one)], SYSTEM_CLOCK, 0.02, 0.1)
    made.start()
    time.sleep(0.5)
    stuck, healthy = made.feeds
    assert stuck.age_s is None
    assert healthy.age_s is not None
    assert healthy.age_s < 0.3
    began = time.monotonic()
    made.stop(0.3)
    assert time.monotonic() - began < 1.0
    assert power(made.take().samples) > 10
    release.set()


def test_a_source_that_raises_is_counted(swallowed: Swallowed) -> None:
    """Its error goes no further than its own lane."""

    def broken(_full: bool) -> Reading:
        message = "a fault of ours"
        raise RuntimeError(message)

    made, taken, _ = run([Scripted(broken), Scripted(one)], 0.3)
    failed, healthy = made.feeds
    assert failed.failed > 3
    assert healthy.failed == 0
    assert power(taken.samples) > 5
    assert {place for place, _ in swallowed} == {"devices.nvml"}
    swallowed.clear()


def test_late_rounds_are_counted_and_not_made_up() -> None:
    """A reading of 100 ms at 50 Hz leaves out four rounds of five."""

    def slow(_full: bool) -> Reading:
        time.sleep(0.1)
        return Reading([sample(power_mw=1)])

    made, taken, due = run([Scripted(slow)], 1.0)
    assert len(taken.samples) <= due / 5 + 1
    assert len(taken.samples) + made.feeds[0].missed == pytest.approx(due, rel=0.2)


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

    def slow(full: bool) -> Reading:
        time.sleep(0.03)
        return one(full)

    _, taken, due = run([Scripted(slow)], 1.0)
    assert len(taken.rows) >= 0.6 * min(due / 5, len(taken.samples))


def test_a_source_that_opens_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver that is loaded after us is found."""
    monkeypatch.setattr(module, "REOPEN_S", 0.05)
    source = Scripted(one, opens=False)
    made = Sampler([source], SYSTEM_CLOCK, 0.02, 0.1)
    made.start()
    time.sleep(0.15)
    assert made.take().samples == []
    source._opens = True
    time.sleep(0.3)
    made.stop(2.0)
    assert power(made.take().samples) > 5
