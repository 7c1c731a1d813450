"""Times between CUDA events become sums of their steps."""

import msgspec

from otel_llm.agent.join import Limits
from otel_llm.agent.worker_join import WorkerJoin
from otel_llm.facts import StepGpuTime
from tests.agent.builders import ENGINE, ENGINE_ID, anchor, arrived, at

WORKER = msgspec.structs.replace(ENGINE, kind="worker", instance_id="b" * 32, dp_rank=0)


def test_one_fact_per_step_and_rank() -> None:
    """It is the engine's, on the worker's device, with a busy time that is a bound."""
    join = WorkerJoin(WORKER, Limits(), anchor())
    record = StepGpuTime(5, ENGINE_ID, 3, 2, "GPU-1", at(4), 7_000_000)
    [fact] = join.feed([anchor(1), record])
    assert fact == type(fact)(
        producer=ENGINE, anchor=anchor(1), seq=5, source="cuda_event", device="GPU-1",
        base_ns=at(4), span_ns=7_000_000, busy_ns=7_000_000, launch_gap_ns=0, wait_gap_ns=0,
        overlap_ns=0, classes=[], kernels=[], kernel_ns=[], rank=2, bound=True,
    )  # fmt: skip
    assert join.end(clean_close=False) == []


def test_what_cannot_be_is_dropped() -> None:
    """An engine that is none, a step that is none, a time of years; records of other kinds."""
    join = WorkerJoin(WORKER, Limits(), anchor())
    good = StepGpuTime(5, ENGINE_ID, 3, 2, "GPU-1", at(4), 1)
    bad = [
        msgspec.structs.replace(good, engine="x"),
        msgspec.structs.replace(good, seq=0),
        msgspec.structs.replace(good, gpu_ns=1 << 60),
        arrived(),
    ]
    assert join.feed(bad) == []
    assert join.lost == {"undecodable": 4}
