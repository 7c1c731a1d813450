"""Steps timed by CUDA events: exact on a simulated device, never waiting, never in a capture."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_llm.clock import MonotonicNs
from otel_llm.kernels.cuda_events import MOST_WAITING, EventTimer
from otel_llm.kernels.fake_cuda import FakeCuda
from otel_llm.testing import FakeClock

Told = list[tuple[int, int, int]]


class Device:
    """A timer over a simulated device."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.cuda = FakeCuda(self.clock.monotonic_ns)
        self.told: Told = []
        self.timer = EventTimer(self.cuda, self._tell, self.clock)

    def _tell(self, seq: int, launched_ns: MonotonicNs, took_ns: int) -> None:
        self.told.append((seq, launched_ns, took_ns))

    def step(self, seq: int, *parts_ns: int) -> None:
        """A step of some parts, each launched and left."""
        self.timer.begin(seq)
        for took_ns in parts_ns:
            self.cuda.launch(took_ns)
            self.timer.end()


@pytest.fixture
def device() -> Device:
    """A device that has done nothing yet."""
    return Device()


def test_a_step_of_two_parts(device: Device) -> None:
    """From its first launch to its last, told when a later step begins after both are done."""
    begun = device.clock.monotonic_ns()
    device.step(1, 3_000_000, 500_000)
    device.clock.advance(3_400_000)
    device.step(2, 300_000)
    assert device.told == []
    device.clock.advance(200_000)
    device.step(3)
    assert device.told == [(1, begun, 3_500_000)]


def test_a_step_behind_another(device: Device) -> None:
    """The host launches ahead: what the device spends on the step before is not in it."""
    device.step(1, 1_000_000)
    device.step(2, 2_000_000)
    device.clock.advance(4_000_000)
    device.timer.settle()
    assert [(seq, took) for seq, _, took in device.told] == [(1, 1_000_000), (2, 2_000_000)]


def test_gaps_between_kernels_are_in_it(device: Device) -> None:
    """The device waits for the host within a step: events cannot tell, so that it is a bound."""
    device.timer.begin(1)
    device.cuda.launch(100)
    device.clock.advance(1000)
    device.cuda.launch(100)
    device.timer.end()
    device.clock.advance(1000)
    device.timer.settle()
    assert [took for _, _, took in device.told] == [1100]


def test_a_captured_step_is_left_out(device: Device) -> None:
    """No event is put into a graph, whether the capture begins before or in the step."""
    device.cuda.capturing = True
    device.step(1, 10)
    device.cuda.capturing = False
    device.timer.begin(2)
    device.cuda.capturing = True
    device.timer.end()
    device.cuda.capturing = False
    device.step(3, 10)
    device.clock.advance(100)
    device.timer.settle()
    assert [seq for seq, _, _ in device.told] == [3]
    assert device.timer.left_out == 2


def test_a_device_that_hangs(device: Device) -> None:
    """Steps that wait are bounded; past that they are left out and counted."""
    for seq in range(1, MOST_WAITING + 11):
        device.step(seq, 1_000_000_000)
    device.timer.settle()
    assert device.told == []
    assert device.timer.left_out == 10


def test_events_are_used_again(device: Device) -> None:
    """A long run makes no more events than were ever waiting at once."""
    made = 0
    original = device.cuda.Event

    def counting(enable_timing: bool = False) -> object:
        nonlocal made
        made += 1
        return original(enable_timing)

    device.cuda.Event = counting  # type: ignore[method-assign, assignment]
    for seq in range(1, 1001):
        device.step(seq, 100)
        device.clock.advance(1000)
    assert made <= 6
    assert len(device.told) >= 998


@given(st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 10**9)), max_size=30))
def test_exact_in_any_order_of_work_and_waiting(steps: list[tuple[int, int]]) -> None:
    """Each step's time is that of its work, to the nanosecond, in the order of the steps."""
    device = Device()
    for seq, (took_ns, waited_ns) in enumerate(steps, 1):
        device.step(seq, took_ns)
        device.clock.advance(waited_ns)
    device.clock.advance(sum(took for took, _ in steps))
    device.timer.settle()
    assert [(seq, took) for seq, _, took in device.told] == [
        (seq, took) for seq, (took, _) in enumerate(steps, 1)
    ]
