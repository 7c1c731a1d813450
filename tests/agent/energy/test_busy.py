"""Where the busy time of steps comes from."""

import msgspec
import numpy as np

from otel_llm.agent.energy.busy import Busy
from otel_llm.agent.energy.engines import Engine, Timed
from otel_llm.facts.joined import JoinedStep, StepKernelSums
from tests.agent.builders import ENGINE, anchor, at, done, scheduled

STEPS = [
    Timed(JoinedStep(ENGINE, anchor(), "done", scheduled(seq), done(seq), at(8)), 0, 1000,
          known=True)
    for seq in (1, 2)
]  # fmt: skip
LENGTHS = np.array([1000.0, 1000.0])


def told(seq: int, busy_ns: int, source: str, **changes: object) -> StepKernelSums:
    """What was measured of a step."""
    sums = StepKernelSums(
        producer=ENGINE, anchor=anchor(), seq=seq, source=source, device="GPU-a", base_ns=at(3),
        span_ns=900, busy_ns=busy_ns, launch_gap_ns=0, wait_gap_ns=0, overlap_ns=0, classes=[],
        kernels=[], kernel_ns=[],
    )  # fmt: skip
    return msgspec.structs.replace(sums, **changes)


def measured(*facts: StepKernelSums) -> Busy:
    """All that was told."""
    busy = Busy()
    busy.take(facts)
    return busy


def times(busy: Busy, steps: list[Timed] = STEPS, device: str = "GPU-a") -> tuple[list[float], str]:
    """What it says of steps of 1000 ns."""
    found, source = busy.times(Engine(1, ENGINE), steps, device, LENGTHS)
    return found.tolist(), source


def test_kernels_first() -> None:
    """Measured steps count with what was measured, and at most with their own length."""
    busy = measured(told(1, 400, "cupti"), told(2, 4000, "cupti"))
    assert times(busy) == ([400.0, 1000.0], "kernels")


def test_the_weakest_source_is_told() -> None:
    """One step between events makes the answer one of events."""
    busy = measured(told(1, 400, "cupti"), told(2, 700, "cuda_event"))
    assert times(busy) == ([400.0, 700.0], "cuda_events")


def test_a_step_without_counts_by_the_busy_part_of_the_others() -> None:
    """By its length alone it would be charged too much; and it is no measurement."""
    lost = told(2, 300, "cupti", incomplete=True)
    for busy in (measured(told(1, 400, "cupti")), measured(told(1, 400, "cupti"), lost)):
        assert times(busy) == ([400.0, 400.0], "step_time")
    elsewhere = measured(told(1, 400, "cupti"), told(2, 400, "cupti"))
    assert times(elsewhere, device="GPU-b") == ([1000.0, 1000.0], "step_time")


def test_the_busy_part_is_remembered() -> None:
    """Of steps that came before, where none of these was told."""
    busy = measured(told(1, 300, "cupti"), told(2, 500, "cupti"))
    assert times(busy)[1] == "kernels"
    later = [one._replace(step=JoinedStep(ENGINE, anchor(), "done", scheduled(9), done(9), at(8)))
             for one in STEPS]  # fmt: skip
    assert times(busy, later) == ([400.0, 400.0], "step_time")


def test_lost_steps_have_no_measure() -> None:
    """Time in which steps were lost counts as the others do, and nothing of it will be told."""
    gap = Timed(None, 0, 1000, known=False)
    busy = measured(told(1, 400, "cupti"))
    assert times(busy, [STEPS[0], gap]) == ([400.0, 400.0], "step_time")
    assert busy.is_told(gap, "GPU-a")


def test_who_is_measured() -> None:
    """A device told of lately; ten seconds of silence, and it is not waited for."""
    busy = measured(told(1, 400, "cupti"))
    now = at(3) + 900
    assert busy.expects(Engine(1, ENGINE, last_ns=now + 9_000_000_000), "GPU-a")
    assert not busy.expects(Engine(1, ENGINE, last_ns=now + 10_000_000_000), "GPU-a")
    assert not busy.expects(Engine(1, ENGINE, last_ns=now), "GPU-b")
