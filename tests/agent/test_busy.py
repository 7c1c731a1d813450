"""Busy time of a step on a device: where it comes from, and that parts add up."""

import msgspec

from otel_llm.agent.busy import NOT_MEASURED, BusyTime, BusyTimes, busy_time
from otel_llm.facts.joined import StepKernelSums
from tests.agent.builders import ENGINE, ENGINE_ID, anchor, at


def sums(
    seq: int = 1, busy_ns: int = 60, source: str = "cupti", **changes: object
) -> StepKernelSums:
    """A step's sums on GPU-1."""
    fact = StepKernelSums(
        producer=ENGINE, anchor=anchor(), seq=seq, source=source, device="GPU-1", base_ns=at(1),
        span_ns=90, busy_ns=busy_ns, launch_gap_ns=0, wait_gap_ns=0, overlap_ns=0,
        classes=["gemm"], kernels=[1], kernel_ns=[busy_ns],
    )  # fmt: skip
    return msgspec.structs.replace(fact, **changes)


def test_source_is_told() -> None:
    """CUPTI's time is exact unless it says otherwise; between two events it is a bound."""
    assert busy_time(sums()) == BusyTime(60, "cupti")
    assert busy_time(sums(bound=True, incomplete=True)) == BusyTime(60, "cupti", True, True)
    assert busy_time(sums(source="cuda_event")) == BusyTime(60, "cuda_event", bound=True)


def test_time_of_a_host_or_of_a_profile_is_none() -> None:
    """Only what was measured on a GPU of this engine counts."""
    for source in ("cpu", "kineto", "nsys"):
        assert busy_time(sums(source=source)) is NOT_MEASURED


def test_parts_of_a_step_add_up() -> None:
    """A step may come in several facts; one that is incomplete makes the whole so."""
    times = BusyTimes()
    times.take([sums(busy_ns=60), sums(busy_ns=5, incomplete=True), sums(seq=2)])
    assert times.of(ENGINE_ID, 1, "GPU-1") == BusyTime(65, "cupti", incomplete=True)
    assert times.of(ENGINE_ID, 2, "GPU-1") == BusyTime(60, "cupti")


def test_steps_devices_and_engines_are_told_apart() -> None:
    """What nobody measured is so named; kernels of no step are of none."""
    times = BusyTimes()
    times.take([sums(), sums(seq=0)])
    for key in ((ENGINE_ID, 2, "GPU-1"), (ENGINE_ID, 1, "GPU-2"), ("0" * 32, 1, "GPU-1")):
        assert times.of(*key) is NOT_MEASURED
    assert times.of(ENGINE_ID, 0, "GPU-1") is NOT_MEASURED


def test_cupti_counts_where_both_told() -> None:
    """In either order; the two are never added."""
    for order in (("cupti", "cuda_event"), ("cuda_event", "cupti")):
        times = BusyTimes()
        times.take([sums(source=source, busy_ns=len(source)) for source in order])
        assert times.of(ENGINE_ID, 1, "GPU-1") == BusyTime(len("cupti"), "cupti")


def test_the_oldest_is_forgotten() -> None:
    """Memory is bounded by the number of steps."""
    times = BusyTimes(most=2)
    times.take([sums(seq=seq) for seq in (1, 2, 3)])
    assert times.of(ENGINE_ID, 1, "GPU-1") is NOT_MEASURED
    assert times.of(ENGINE_ID, 3, "GPU-1") == BusyTime(60, "cupti")
